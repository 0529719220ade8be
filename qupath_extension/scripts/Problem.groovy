// What a user can do something about: shown as it is, without a trace.

class NuClickException extends RuntimeException {
    int status
    NuClickException(String message, int status = 0) { super(message); this.status = status }
}

this
