// What a user can do something about: shown as it is, without a trace.

class NuClickException extends RuntimeException {
    int status
    NuClickException(String message, int status = 0) { super(message); this.status = status }
}

/** An image has nothing that was asked for. */
class NothingToDo extends NuClickException {
    NothingToDo(String message) { super(message) }
}

/** The server has gone away in the middle of its answer. */
class ServerGone extends NuClickException {
    ServerGone(String message) { super(message) }
}

this
