// One click or one squiggle, and what its outline is called.

import groovy.transform.CompileStatic
import java.math.RoundingMode
import java.nio.ByteBuffer
import java.security.MessageDigest

/** One point of an annotation of points, or all strokes of an annotation of lines. */
@CompileStatic
class Prompt {
    String id              // its outline's, as nuclick_wsi/prompts.py makes it; of an annotation without points, its own
    String source          // the annotation's id
    String name            // the annotation's, or null
    boolean isClick
    boolean isIgnored      // it keeps others out, and gets no outline
    String className
    Integer color          // of its class
    String plane           // as JSON, or empty for the first
    String coordinates     // as JSON: [x, y] of a click, a list of strokes of a squiggle
    double left, top, right, bottom
    private List<UUID> outlines

    /** What an outline takes over from it, beside the place that its id tells. */
    String getState() { className + '|' + plane }

    double getX() { (left + right) / 2 }
    double getY() { (top + bottom) / 2 }

    /** How far the boxes of two prompts are apart, in the direction in which they are further apart. */
    double distanceTo(Prompt other) {
        Math.max(Math.max(left - other.right, other.left - right), Math.max(top - other.bottom, other.top - bottom))
    }

    /** The ids that an outline of it may have: its own, and that of a cell around a nucleus of its own. */
    List<UUID> outlineIds() {
        if (outlines == null) outlines = [UUID.fromString(id), UUID.fromString(Naming.named(id + '|cell'))]
        outlines
    }
}

/** A position, in hundredths of a pixel. */
@CompileStatic
class Spot implements Comparable<Spot> {
    final BigDecimal x, y

    Spot(BigDecimal x, BigDecimal y) {
        this.x = x.setScale(2, RoundingMode.HALF_EVEN)
        this.y = y.setScale(2, RoundingMode.HALF_EVEN)
    }

    int compareTo(Spot other) { x <=> other.x ?: y <=> other.y }

    String toString() { x.toPlainString() + ' ' + y.toPlainString() }
}

/** The names of prompts, as nuclick_wsi/prompts.py has them. */
@CompileStatic
class Naming {
    private static final UUID NAMESPACE = UUID.fromString('6f1b0f0e-52a7-5d0e-9a5c-6d7e3c0b41aa')
    private static final byte[] BEGUN =
        ByteBuffer.allocate(16).putLong(NAMESPACE.mostSignificantBits).putLong(NAMESPACE.leastSignificantBits).array()

    static String named(String name) {
        MessageDigest digest = MessageDigest.getInstance('SHA-1')
        digest.update(BEGUN)
        byte[] bytes = digest.digest(name.getBytes('UTF-8'))
        bytes[6] = (byte) ((bytes[6] & 0x0f) | 0x50)
        bytes[8] = (byte) ((bytes[8] & 0x3f) | 0x80)
        ByteBuffer buffer = ByteBuffer.wrap(bytes)
        new UUID(buffer.getLong(), buffer.getLong()).toString()
    }

    static String ofClick(String source, Spot at, int repeat) { named(source + '|Click|' + at + '|' + repeat) }

    /** Neither the direction of strokes nor their order counts; one without length is none. */
    static String ofSquiggle(String source, List<List<Spot>> strokes) {
        List<List<Spot>> kept = []
        for (List<Spot> stroke : strokes) {
            boolean isLong = false
            for (Spot at : stroke) isLong = isLong || at.compareTo(stroke[0]) != 0
            List<Spot> back = stroke.reverse()
            if (isLong) kept.add(new ByPlace().compare(stroke, back) <= 0 ? stroke : back)
        }
        Collections.sort(kept, new ByPlace())
        List<String> drawn = []
        for (List<Spot> stroke : kept) drawn.add(stroke.join(','))
        named(source + '|Squiggle|' + drawn.join(';') + '|0')
    }
}

/** The order of strokes, point by point. */
@CompileStatic
class ByPlace implements Comparator<List<Spot>> {
    int compare(List<Spot> one, List<Spot> other) {
        for (int i = 0; i < Math.min(one.size(), other.size()); i++) {
            int order = one[i].compareTo(other[i])
            if (order != 0) return order
        }
        one.size() <=> other.size()
    }
}

this
