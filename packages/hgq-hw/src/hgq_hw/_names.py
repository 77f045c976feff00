"""Names that generated code may carry: identifiers that no language or library of the project has taken."""

from __future__ import annotations

import re

from hgq_core.errors import ConfigError

__all__ = ["CPP", "HDL", "check_name"]

_CPP_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict
return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try
typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
_VERILOG_KEYWORDS = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global highz0
highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input inside
instance int integer interconnect interface intersect join join_any join_none large let liblist library local
localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1
s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small
soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on
sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand
trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var vectored virtual void
wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
_VHDL_KEYWORDS = """
abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body buffer bus
case component configuration constant context cover default disconnect downto else elsif end entity exit fairness file
for force function generate generic group guarded if impure in inertial inout is label library linkage literal loop map
mod nand new next nor not null of on open or others out package parameter port postponed procedure process property
protected pure range record register reject release rem report restrict restrict_guarantee return rol ror select
sequence severity shared signal sla sll sra srl strong subtype then to transport type unaffected units until use
variable vmode vprop vunit wait when while with xnor xor
"""
CPP = frozenset(_CPP_KEYWORDS.split()) | {"main", "std", "nnet", "hls", "ac", "parameters", "defines", "weights"}
"""Keywords of C++, and names that an HLS project already gives to a namespace, a function or a file."""

_MODULES = {"shift_adder", "negative", "multiplier", "mux", "lookup_table", "binop", "ieee", "work"}

HDL = frozenset((_VERILOG_KEYWORDS + _VHDL_KEYWORDS).split()) | _MODULES
"""Keywords of SystemVerilog and VHDL, and the modules that da4ml's projects bring along."""


def check_name(option: str, name: str, taken: frozenset[str]) -> None:
    """Raise ConfigError for what is no identifier, or is one of ``taken``, in whatever case."""
    if not re.fullmatch(r"[A-Za-z]\w*", name, flags=re.ASCII):
        message = f"{option}: received {name!r}, expected an identifier such as 'hgq_design'"
        raise ConfigError(message)
    if name.lower() in taken:
        message = f"{option}: received {name!r}, a keyword or a name that is taken; expected one such as 'hgq_design'"
        raise ConfigError(message)
