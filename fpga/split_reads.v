// A memory of many read ports as copies with one each, which is what block RAM makes of it anyway.
// Yosys' memory mapper tries every way to pair the ports: above ten of them it runs out of memory.
(* techmap_celltype = "$mem_v2" *)
module split_reads (RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA, WR_CLK, WR_EN, WR_ADDR, WR_DATA);
    parameter MEMID = "";
    parameter signed SIZE = 4;
    parameter signed OFFSET = 0;
    parameter signed ABITS = 2;
    parameter signed WIDTH = 8;
    parameter signed INIT = 1'bx;
    parameter signed RD_PORTS = 1;
    parameter RD_CLK_ENABLE = 1'b1;
    parameter RD_CLK_POLARITY = 1'b1;
    parameter RD_TRANSPARENCY_MASK = 1'b0;
    parameter RD_COLLISION_X_MASK = 1'b0;
    parameter RD_WIDE_CONTINUATION = 1'b0;
    parameter RD_CE_OVER_SRST = 1'b0;
    parameter RD_ARST_VALUE = 1'b0;
    parameter RD_SRST_VALUE = 1'b0;
    parameter RD_INIT_VALUE = 1'b0;
    parameter signed WR_PORTS = 1;
    parameter WR_CLK_ENABLE = 1'b1;
    parameter WR_CLK_POLARITY = 1'b1;
    parameter WR_PRIORITY_MASK = 1'b0;
    parameter WR_WIDE_CONTINUATION = 1'b0;
    input [RD_PORTS-1:0] RD_CLK, RD_EN, RD_ARST, RD_SRST;
    input [RD_PORTS*ABITS-1:0] RD_ADDR;
    output [RD_PORTS*WIDTH-1:0] RD_DATA;
    input [WR_PORTS-1:0] WR_CLK;
    input [WR_PORTS*WIDTH-1:0] WR_EN, WR_DATA;
    input [WR_PORTS*ABITS-1:0] WR_ADDR;

    wire _TECHMAP_FAIL_ = RD_PORTS <= 4 || |RD_WIDE_CONTINUATION;

    genvar n;
    generate for (n = 0; n < RD_PORTS; n = n + 1) begin : copy
        \$mem_v2 #(
            .MEMID({MEMID, ":", 8'd48 + n / 10, 8'd48 + n % 10}), .SIZE(SIZE), .OFFSET(OFFSET), .ABITS(ABITS), .WIDTH(WIDTH), .INIT(INIT),
            .RD_PORTS(1),
            .RD_CLK_ENABLE(RD_CLK_ENABLE[n]), .RD_CLK_POLARITY(RD_CLK_POLARITY[n]),
            .RD_TRANSPARENCY_MASK(RD_TRANSPARENCY_MASK[n*WR_PORTS +: WR_PORTS]),
            .RD_COLLISION_X_MASK(RD_COLLISION_X_MASK[n*WR_PORTS +: WR_PORTS]),
            .RD_WIDE_CONTINUATION(1'b0), .RD_CE_OVER_SRST(RD_CE_OVER_SRST[n]),
            .RD_ARST_VALUE(RD_ARST_VALUE[n*WIDTH +: WIDTH]), .RD_SRST_VALUE(RD_SRST_VALUE[n*WIDTH +: WIDTH]),
            .RD_INIT_VALUE(RD_INIT_VALUE[n*WIDTH +: WIDTH]),
            .WR_PORTS(WR_PORTS), .WR_CLK_ENABLE(WR_CLK_ENABLE), .WR_CLK_POLARITY(WR_CLK_POLARITY),
            .WR_PRIORITY_MASK(WR_PRIORITY_MASK), .WR_WIDE_CONTINUATION(WR_WIDE_CONTINUATION)
        ) memory (
            .RD_CLK(RD_CLK[n]), .RD_EN(RD_EN[n]), .RD_ARST(RD_ARST[n]), .RD_SRST(RD_SRST[n]),
            .RD_ADDR(RD_ADDR[n*ABITS +: ABITS]), .RD_DATA(RD_DATA[n*WIDTH +: WIDTH]),
            .WR_CLK(WR_CLK), .WR_EN(WR_EN), .WR_ADDR(WR_ADDR), .WR_DATA(WR_DATA)
        );
    end endgenerate
endmodule
