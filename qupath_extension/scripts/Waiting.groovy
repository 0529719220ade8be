// What waits to be outlined in live mode, and in which order.

/** Ids of prompts: the newest change first, then the older ones; outlines around them when no change waits. */
class Pending {
    private final Deque<List<String>> changes = new ArrayDeque<>()
    private final LinkedHashSet<String> around = new LinkedHashSet<>()
    private boolean isEnded

    /** Puts the prompts of one change before all others. */
    synchronized void changed(Collection<String> ids) {
        if (ids.isEmpty()) return
        forget(ids)
        changes.addFirst(new ArrayList<String>(ids))
        notifyAll()
    }

    /** Adds prompts whose outlines may change with those of another; one that waits already keeps its place. */
    synchronized void nearby(Collection<String> ids) {
        ids.each { String id -> if (!changes.any { List<String> change -> change.contains(id) }) around.add(id) }
        notifyAll()
    }

    /** Takes away prompts that are gone. */
    synchronized void forget(Collection<String> ids) {
        changes.each { List<String> change -> change.removeAll(ids) }
        changes.removeIf { List<String> change -> change.isEmpty() }
        around.removeAll(ids)
    }

    /** Waits for the next prompts, up to so many: their ids, and whether they are a change; null when none will come any more. */
    synchronized Map take(int most) {
        while (!isEnded && changes.isEmpty() && around.isEmpty()) wait()
        if (isEnded) return null
        boolean isChange = !changes.isEmpty()
        List<String> first = isChange ? changes.peekFirst() : new ArrayList<String>(around)
        List<String> ids = new ArrayList<String>(first.take(most))
        forget(ids)
        [ids: ids, isChange: isChange]
    }

    /** Whether a change waits. */
    synchronized boolean isUrgent() { !changes.isEmpty() }

    synchronized boolean isIdle() { changes.isEmpty() && around.isEmpty() }

    synchronized void end() {
        isEnded = true
        notifyAll()
    }
}

this
