"""The limit of open files and sockets of this process."""


def open_files(wanted: int) -> int:
    """Raise the limit of open files to `wanted`, or to the hard limit; returns the new limit."""
    import resource  # missing on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return wanted if soft == unlimited else soft
    most = wanted if hard == unlimited else min(wanted, hard)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
