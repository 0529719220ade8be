// The part of NuClick that needs QuPath's window: a progress bar with a cancel, messages, and the window's thread.

import java.util.concurrent.Callable
import java.util.concurrent.CancellationException
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import javafx.application.Platform
import javafx.concurrent.Task
import javafx.event.ActionEvent
import javafx.scene.control.Alert
import javafx.scene.control.ButtonType
import javafx.scene.control.TextArea
import javafx.stage.Modality
import javafx.stage.Stage
import javafx.util.Duration
import org.controlsfx.control.Notifications
import org.controlsfx.dialog.ProgressDialog
import qupath.lib.gui.QuPathGUI

FEW = 4      // lines that a user reads in passing

/** Work in a thread of its own, with QuPath's own dialog of progress; one at a time. */
class Shown extends Task {
    private static volatile Shown current
    private volatile Closure action
    private final Closure work

    Shown(String title, Closure work) {
        updateTitle(title)
        this.work = work
    }

    /** Starts it, or says what it has to wait for. */
    static String begin(Shown next) {
        if (current != null && current.isRunning()) return current.getTitle()
        current = next
        def thread = new Thread(next, 'nuclick')
        thread.setDaemon(true)
        thread.start()
        null
    }

    protected Object call() { work(this) }
    void tell(String what, double fraction) {
        updateMessage(what)
        updateProgress(fraction, 1)
    }
    void onCancel(Closure todo) { action = todo }
    boolean cancel(boolean mayInterrupt) {
        def isCancelled = super.cancel(false)      // an interrupt would look like a failure of the server
        if (action != null) Thread.start { action() }
        isCancelled
    }
    /**
     * Changes objects where QuPath wants them changed: on the window's thread. Not while a dialog waits for an answer, as
     * when an image is switched: one that says that changes are to be lost does not mean outlines that came since.
     */
    def change(Closure todo) {
        def waiting = new Object()
        while (true) {
            if (isCancelled()) throw new CancellationException()
            def said = onWindowThread { isAsking() ? waiting : todo() }
            if (said !== waiting) return said
            Thread.sleep(200)
        }
    }
    private boolean isAsking() { Stage.getWindows().any { it instanceof Stage && it.isShowing() && it.getModality() != Modality.NONE } }
    static def onWindowThread(Closure todo) {
        def task = new FutureTask(todo as Callable)
        Platform.runLater(task)
        try {
            task.get()
        } catch (ExecutionException problem) {
            throw problem.getCause()
        }
    }
    /** The images that viewers show. */
    List images() { viewers()*.getImageData().findAll() }
    static List viewers() {
        def gui = QuPathGUI.getInstance()
        gui.metaClass.respondsTo(gui, 'getAllViewers') ? gui.getAllViewers() as List : gui.getViewers() as List
    }
}

List viewers() { Shown.viewers() }

List images() { viewers()*.getImageData().findAll() }

/** Whether the caller is on the window's thread. */
boolean isCalling() { Platform.isFxApplicationThread() }

/** Does something on the window's thread, some time later. */
void later(Closure todo) { Platform.runLater(todo) }

/** Does something on the window's thread, and waits for it. */
def onThread(Closure todo) { Shown.onWindowThread(todo) }

/** Does work with a dialog of its progress, and says what came of it; not while other work goes on. */
def run(String name, Closure work) {
    def title = 'NuClick: ' + name
    def owner = QuPathGUI.getInstance().getStage()
    def task = new Shown(title, work)
    def dialog = new ProgressDialog(task)
    dialog.initOwner(owner)
    dialog.initModality(Modality.NONE)      // the user may go on working
    dialog.setTitle(title)
    dialog.setHeaderText(title)
    dialog.getDialogPane().getButtonTypes().add(ButtonType.CANCEL)
    dialog.getDialogPane().lookupButton(ButtonType.CANCEL).addEventFilter(ActionEvent.ACTION) { event -> task.cancel() }
    task.setOnSucceeded { tell(title, task.getValue(), owner) }
    task.setOnFailed {
        def problem = task.getException()
        if (problem instanceof CancellationException) return
        if (!(problem instanceof NuClickException)) problem.printStackTrace()
        say(Alert.AlertType.ERROR, title, problem.message ?: problem.toString(), owner)
    }
    def before = Shown.begin(task)
    if (before == null) return title
    dialog.close()
    remark(title, "${before} is still at work. Wait for it, or cancel it.", owner)
    title
}

/** Says what came of work: a few lines go by themselves, so that the next click need not wait for a button. */
void tell(String title, said, owner) {
    def text = said.toString()
    if (said.hasProperty('rejections') && said.rejections) rejections.show(title, said, Shown.viewers())
    else if (text.readLines().size() > FEW) say(Alert.AlertType.INFORMATION, title, text, owner)
    else remark(title, text, owner)
}

/** Says something in the window's corner, for some seconds. */
void remark(String title, CharSequence text, owner = QuPathGUI.getInstance().getStage()) {
    Notifications.create().owner(owner).title(title).text(text.toString()).hideAfter(Duration.seconds(8)).showInformation()
}

void say(Alert.AlertType type, String title, String text, owner) {
    def alert = new Alert(type)
    alert.initOwner(owner)
    alert.setTitle(title)
    alert.setHeaderText(null)
    def area = new TextArea(text)
    area.setEditable(false)
    area.setWrapText(true)
    area.setPrefColumnCount(60)
    area.setPrefRowCount(Math.min(20, 2 + text.readLines().sum { 1 + it.size().intdiv(60) }))
    alert.getDialogPane().setContent(area)
    alert.show()
}

this
