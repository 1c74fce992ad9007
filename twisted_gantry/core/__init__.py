"""What the gantry knows and decides: points, alarms, commands, interlocks.

Modules here do no I/O; the clock is injected. Other rooms are reached through `core.interfaces`.
"""
