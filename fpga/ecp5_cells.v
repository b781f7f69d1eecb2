// ECP5 cells that Yosys' own models leave empty, as far as its synthesis uses them: multipliers without registers, block
// RAM without output registers, its ports of one width. Other parameters stop the simulation.

module MULT18X18D(
    input A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17,
    input B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, B17,
    input C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14, C15, C16, C17,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1, RST2, RST3,
    output P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17,
    output P18, P19, P20, P21, P22, P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33, P34, P35
);
    parameter REG_INPUTA_CLK = "NONE";
    parameter REG_INPUTB_CLK = "NONE";
    parameter REG_INPUTC_CLK = "NONE";
    parameter REG_PIPELINE_CLK = "NONE";
    parameter REG_OUTPUT_CLK = "NONE";
    parameter REG_INPUTA_CE = "CE0";
    parameter REG_INPUTB_CE = "CE0";
    parameter REG_INPUTC_CE = "CE0";
    parameter REG_PIPELINE_CE = "CE0";
    parameter REG_OUTPUT_CE = "CE0";
    parameter REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_RST = "RST0";
    parameter REG_INPUTC_RST = "RST0";
    parameter REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_RST = "RST0";
    parameter CLK0_DIV = "ENABLED";
    parameter CLK1_DIV = "ENABLED";
    parameter CLK2_DIV = "ENABLED";
    parameter CLK3_DIV = "ENABLED";
    parameter GSR = "ENABLED";
    parameter SOURCEB_MODE = "B_SHIFT";
    parameter RESETMODE = "SYNC";
    parameter MULT_BYPASS = "DISABLED";
    parameter CAS_MATCH_REG = "FALSE";

    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
    wire signed [35:0] a_wide = {{18{SIGNEDA & a[17]}}, a};
    wire signed [35:0] b_wide = {{18{SIGNEDB & b[17]}}, b};
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
            P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = a_wide * b_wide;

    generate
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_PIPELINE_CLK != "NONE" ||
            REG_OUTPUT_CLK != "NONE")
            initial $fatal(1, "MULT18X18D with registers has no model");
    endgenerate
endmodule

module DP16KD(
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
    input DIA0, ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
    output DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
    input DIB0, ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
    output DOB0
);
    parameter DATA_WIDTH_A = 18;
    parameter DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG";
    parameter REGMODE_B = "NOREG";
    parameter RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC";
    parameter CLKAMUX = "CLKA";
    parameter CLKBMUX = "CLKB";
    parameter CSDECODE_A = "0b000";
    parameter CSDECODE_B = "0b000";
    parameter WRITEMODE_A = "NORMAL";
    parameter WRITEMODE_B = "NORMAL";
    parameter WID = 0;
    parameter GSR = "ENABLED";
    parameter INIT_DATA = "STATIC";
@INITVALS@

    // Words of the ports' width. Those of 18 and 36 bits have bytes of 9, which the lowest address bits enable; one of
    // 36 takes the data of both ports: A writes it and B reads it.
    localparam WIDTH = DATA_WIDTH_A;
    localparam SHIFT = WIDTH == 36 ? 5 : WIDTH == 18 ? 4 : WIDTH == 9 ? 3 : WIDTH == 4 ? 2 : WIDTH == 2 ? 1 : 0;
    localparam BITS = 14 - SHIFT;
    reg [WIDTH-1:0] cells [0:(1<<BITS)-1];
    reg [35:0] read_a, read_b;

    wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [17:0] write_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
                           DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [17:0] write_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
                           DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    wire chosen_a = CEA & ({CSA2, CSA1, CSA0} == decoded(CSDECODE_A));
    wire chosen_b = CEB & ({CSB2, CSB1, CSB0} == decoded(CSDECODE_B));
    wire [BITS-1:0] word_a = address_a[13:SHIFT], word_b = address_b[13:SHIFT];

    function [2:0] decoded(input [39:0] text);
        decoded = {text[16], text[8], text[0]};
    endfunction

    generate
        if (DATA_WIDTH_A != DATA_WIDTH_B || REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CLKAMUX != "CLKA" ||
            CLKBMUX != "CLKB")
            initial $fatal(1, "DP16KD with output registers, inverted clocks or ports of two widths has no model");
        if (WIDTH == 36) begin
            always @(posedge CLKA) if (chosen_a && WEA) begin
                if (address_a[0]) cells[word_a][8:0] <= write_a[8:0];
                if (address_a[1]) cells[word_a][17:9] <= write_a[17:9];
                if (address_a[2]) cells[word_a][26:18] <= write_b[8:0];
                if (address_a[3]) cells[word_a][35:27] <= write_b[17:9];
            end
            always @(posedge CLKB)
                if (RSTB) read_b <= 0;
                else if (chosen_b) read_b <= cells[word_b];
        end else begin
            if (WIDTH == 18) begin
                always @(posedge CLKA) if (chosen_a && WEA) begin
                    if (address_a[0]) cells[word_a][8:0] <= write_a[8:0];
                    if (address_a[1]) cells[word_a][17:9] <= write_a[17:9];
                end
                always @(posedge CLKB) if (chosen_b && WEB) begin
                    if (address_b[0]) cells[word_b][8:0] <= write_b[8:0];
                    if (address_b[1]) cells[word_b][17:9] <= write_b[17:9];
                end
            end else begin
                always @(posedge CLKA) if (chosen_a && WEA) cells[word_a] <= write_a[WIDTH-1:0];
                always @(posedge CLKB) if (chosen_b && WEB) cells[word_b] <= write_b[WIDTH-1:0];
            end
            // What a port answers while it writes: the old word (READBEFOREWRITE), the new one (WRITETHROUGH), or its
            // last answer.
            always @(posedge CLKA)
                if (RSTA) read_a <= 0;
                else if (chosen_a && (!WEA || WRITEMODE_A == "READBEFOREWRITE")) read_a <= cells[word_a];
                else if (chosen_a && WRITEMODE_A == "WRITETHROUGH") read_a <= write_a;
            always @(posedge CLKB)
                if (RSTB) read_b <= 0;
                else if (chosen_b && (!WEB || WRITEMODE_B == "READBEFOREWRITE")) read_b <= cells[word_b];
                else if (chosen_b && WRITEMODE_B == "WRITETHROUGH") read_b <= write_b;
        end
    endgenerate

    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
            DOB0, DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
            DOA1, DOA0} = WIDTH == 36 ? read_b : {read_b[17:0], read_a[17:0]};
endmodule
