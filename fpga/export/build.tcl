# Builds the design of settings.tcl:  vivado -mode batch -source build.tcl
# Results, beside this file: tilewright.bit and tilewright.hwh, as PYNQ's Overlay reads them.

set here [file dirname [file normalize [info script]]]
source [file join $here settings.tcl]

create_project tilewright [file join $here project] -part $part -force
if {[llength [get_board_parts -quiet $board_part]] > 0} {
    set_property board_part $board_part [current_project]
}
set_property ip_repo_paths [list [file join $here ip]] [current_project]
update_ip_catalog
add_files -fileset constrs_1 -norecurse [file join $here constraints.xdc]

proc newest {vlnv} {
    set found [lsort -dictionary [get_ipdefs -all $vlnv]]
    if {[llength $found] == 0} {
        error "the IP catalogue must have $vlnv, and has not: install the device support of the part"
    }
    return [lindex $found end]
}

proc add_cell {vlnv name} {
    return [create_bd_cell -type ip -vlnv [newest $vlnv] $name]
}

create_bd_design system

set ps [add_cell xilinx.com:ip:processing_system7:* ps]
# The board's DDR3 and crystal, for those who make a boot loader from this design too.
set_property -dict $processing_system $ps
set_property -dict [list \
    CONFIG.PCW_EN_CLK0_PORT 1 \
    CONFIG.PCW_EN_RST0_PORT 1 \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz \
    CONFIG.PCW_USE_M_AXI_GP0 1 \
    CONFIG.PCW_USE_S_AXI_HP0 1 \
    CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 \
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
    CONFIG.PCW_IRQ_F2P_INTR 1 \
] $ps
foreach {pin port} {DDR DDR FIXED_IO FIXED_IO} {
    make_bd_intf_pins_external -name $port [get_bd_intf_pins ps/$pin]
}

add_cell tilewright:accelerator:tilewright:1.0 core
add_cell xilinx.com:ip:proc_sys_reset:* reset
# The processor's ports are AXI3: the interconnects shorten bursts, and widen or narrow the data.
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] [add_cell xilinx.com:ip:smartconnect:* registers]
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] [add_cell xilinx.com:ip:smartconnect:* memory]

connect_bd_net [get_bd_pins ps/FCLK_CLK0] \
    [get_bd_pins ps/M_AXI_GP0_ACLK] [get_bd_pins ps/S_AXI_HP0_ACLK] [get_bd_pins core/aclk] \
    [get_bd_pins reset/slowest_sync_clk] [get_bd_pins registers/aclk] [get_bd_pins memory/aclk]
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] \
    [get_bd_pins core/aresetn] [get_bd_pins registers/aresetn] [get_bd_pins memory/aresetn]
connect_bd_net [get_bd_pins core/irq] [get_bd_pins ps/IRQ_F2P]
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_GP0] [get_bd_intf_pins registers/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins registers/M00_AXI] [get_bd_intf_pins core/s_axi]
connect_bd_intf_net [get_bd_intf_pins core/m_axi] [get_bd_intf_pins memory/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0]

create_bd_addr_seg -offset $register_base -range $register_bytes \
    [get_bd_addr_spaces ps/Data] [get_bd_addr_segs core/s_axi/registers] registers
create_bd_addr_seg -offset $memory_base -range $memory_bytes \
    [get_bd_addr_spaces core/m_axi] [get_bd_addr_segs ps/S_AXI_HP0/HP0_DDR_LOWOCM] memory
validate_bd_design
save_bd_design

set design [get_files system.bd]
set wrapper [make_wrapper -files $design -top]
add_files -norecurse $wrapper
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1

launch_runs impl_1 -to_step write_bitstream -jobs $jobs
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    error "implementation must end with a bitstream, and has not: see project/tilewright.runs/impl_1/runme.log"
}
set slack [get_property STATS.WNS [get_runs impl_1]]
if {$slack < 0} {
    error "the design must meet $clock_mhz MHz, but misses it by [expr {-$slack}] ns: export with a lower --clock"
}

set implemented [get_property DIRECTORY [get_runs impl_1]]
file copy -force [file join $implemented system_wrapper.bit] [file join $here tilewright.bit]
set handoff [file join [file dirname $wrapper] .. hw_handoff system.hwh]
if {![file exists $handoff]} {
    set handoff [file join [file dirname [get_property NAME $design]] hw_handoff system.hwh]
}
file copy -force $handoff [file join $here tilewright.hwh]
puts "tilewright.bit and tilewright.hwh are in $here; worst slack $slack ns at $clock_mhz MHz"
