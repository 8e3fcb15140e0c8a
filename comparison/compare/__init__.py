"""The comparison with peers: one module per question (fleet, dag, online) and per peer, one checker, one plotter."""
