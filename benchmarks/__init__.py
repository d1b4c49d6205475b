"""The benchmark: sop-chat beside what one would pick instead, in one run, in turn.

load/          the load generator, in C: it checks every frame that arrives
peers/         the servers that are built for the comparison
peers.py       every server, how it is started, what it uses
workloads.py   what is measured, and how
targets.py     what has to hold between the figures
report.py      tables and JSON
chart.py       the figures as pictures
tls.py         what encryption costs: scripts/bench-tls
__main__.py    the command, scripts/bench
"""
