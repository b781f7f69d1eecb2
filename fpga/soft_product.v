// A signed product of 8 x 8 bits without a multiplier block of the ECP5: 36 carry cells, three sums in a row.
//
// A carry cell has a look-up table of four inputs for each bit, so the first sums take two partial products each,
// (a & b[n]) + 2 (a & b[n + 1]); the sign's is subtracted.
(* techmap_celltype = "$mul" *)
module _80_soft_product (A, B, Y);
	parameter A_SIGNED = 0;
	parameter B_SIGNED = 0;
	parameter A_WIDTH = 8;
	parameter B_WIDTH = 8;
	parameter Y_WIDTH = 16;
	input [A_WIDTH-1:0] A;
	input [B_WIDTH-1:0] B;
	output [Y_WIDTH-1:0] Y;

	wire _TECHMAP_FAIL_ = !A_SIGNED || !B_SIGNED || A_WIDTH != 8 || B_WIDTH != 8 || Y_WIDTH != 16;

	wire [9:0] once = {{2{A[7]}}, A};
	wire [9:0] twice = {A[7], A, 1'b0};
	wire [39:0] pairs;
	wire [19:0] fours;
	wire [11:0] upper;
	genvar n, k;

	generate
		for (n = 0; n < 4; n = n + 1) begin: pair
			// The table's first four rows generate a carry from A and B alone: what is inverted must be there.
			localparam SIGN = n == 3;
			localparam [15:0] TABLE = SIGN ? 16'h8777 : 16'h7888;
			wire [5:0] carry;
			assign carry[0] = SIGN;
			for (k = 0; k < 5; k = k + 1) begin: bits
				CCU2C #(.INIT0(TABLE), .INIT1(TABLE), .INJECT1_0("NO"), .INJECT1_1("NO")) cell (
					.CIN(carry[k]), .COUT(carry[k + 1]), .S0(pairs[10 * n + 2 * k]), .S1(pairs[10 * n + 2 * k + 1]),
					.A0(twice[2 * k]), .B0(B[2 * n + 1]), .C0(once[2 * k]), .D0(B[2 * n]),
					.A1(twice[2 * k + 1]), .B1(B[2 * n + 1]), .C1(once[2 * k + 1]), .D1(B[2 * n])
				);
			end
		end
		for (n = 0; n < 2; n = n + 1) begin: four
			wire [9:0] low = {{2{pairs[20 * n + 9]}}, pairs[20 * n + 9:20 * n + 2]};
			wire [5:0] carry;
			assign carry[0] = 1'b0;
			for (k = 0; k < 5; k = k + 1) begin: bits
				CCU2C #(.INIT0(16'h96AA), .INIT1(16'h96AA), .INJECT1_0("NO"), .INJECT1_1("NO")) cell (
					.CIN(carry[k]), .COUT(carry[k + 1]), .S0(fours[10 * n + 2 * k]), .S1(fours[10 * n + 2 * k + 1]),
					.A0(low[2 * k]), .B0(pairs[20 * n + 10 + 2 * k]), .C0(1'b0), .D0(1'b1),
					.A1(low[2 * k + 1]), .B1(pairs[20 * n + 11 + 2 * k]), .C1(1'b0), .D1(1'b1)
				);
			end
		end
		begin: whole
			wire [11:0] low = {{4{fours[9]}}, fours[9:2]};
			wire [11:0] high = {fours[19:10], pairs[21:20]};
			wire [6:0] carry;
			assign carry[0] = 1'b0;
			for (k = 0; k < 6; k = k + 1) begin: bits
				CCU2C #(.INIT0(16'h96AA), .INIT1(16'h96AA), .INJECT1_0("NO"), .INJECT1_1("NO")) cell (
					.CIN(carry[k]), .COUT(carry[k + 1]), .S0(upper[2 * k]), .S1(upper[2 * k + 1]),
					.A0(low[2 * k]), .B0(high[2 * k]), .C0(1'b0), .D0(1'b1),
					.A1(low[2 * k + 1]), .B1(high[2 * k + 1]), .C1(1'b0), .D1(1'b1)
				);
			end
		end
	endgenerate

	assign Y = {upper, fours[1:0], pairs[1:0]};
endmodule
