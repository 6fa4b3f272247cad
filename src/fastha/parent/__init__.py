"""L2, a process: reads the configuration, spawns and watches the children, answers the control socket.

Loads none of our compiled modules: a bad extension cannot kill the one who restarts the others.
"""
