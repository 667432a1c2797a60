"""How vendors and engines are spoken to: one file per vendor and capability.

The only place that imports their SDKs, always inside the function or the child process that needs
them. Every failure leaves here as one of ``contracts.errors``.
"""
