"""How many files, sockets among them, this process may open."""


def open_files(wanted: int) -> int:
    """Let this process open so many files, or what its hard limit allows; returns how many."""
    import resource  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return wanted if soft == unlimited else soft
    most = wanted if hard == unlimited else min(wanted, hard)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
