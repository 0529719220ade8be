// The part of NuClick that needs QuPath's window: a progress bar with a cancel, messages, and the window's thread.

import java.util.concurrent.Callable
import java.util.concurrent.CancellationException
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Alert
import javafx.scene.control.Button
import javafx.scene.control.ButtonType
import javafx.scene.control.Label
import javafx.scene.control.ProgressBar
import javafx.scene.control.TextArea
import javafx.scene.layout.VBox
import javafx.stage.Modality
import javafx.stage.Stage
import javafx.util.Duration
import org.controlsfx.control.Notifications
import qupath.lib.gui.QuPathGUI

FEW = 4      // lines that a user reads in passing

class Shown {
    Stage stage
    Label label
    ProgressBar bar
    volatile boolean cancelled
    volatile Closure action

    void tell(String what, double fraction) {
        Platform.runLater { label.setText(what); bar.setProgress(fraction) }
    }
    boolean isCancelled() { cancelled }
    void onCancel(Closure todo) { action = todo }
    void cancel() {
        cancelled = true
        if (action != null) Thread.start { action() }
    }
    /**
     * Changes objects where QuPath wants them changed: on the window's thread. Not while a dialog waits for an answer, as
     * when an image is switched: one that says that changes are to be lost does not mean outlines that came since.
     */
    def change(Closure todo) {
        def waiting = new Object()
        while (true) {
            if (cancelled) throw new CancellationException()
            def said = onWindowThread { isAsking() ? waiting : todo() }
            if (said !== waiting) return said
            Thread.sleep(200)
        }
    }
    private boolean isAsking() { Stage.getWindows().any { it instanceof Stage && it.isShowing() && it.getModality() != Modality.NONE } }
    private def onWindowThread(Closure todo) {
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

/** Shows a progress bar, does the work in a thread of its own, and says what came of it. */
def run(String name, Closure work) {
    def title = 'NuClick: ' + name
    def owner = QuPathGUI.getInstance().getStage()
    def label = new Label('One moment')
    def bar = new ProgressBar(-1)
    def button = new Button('Cancel')
    def box = new VBox(10, label, bar, button)
    box.setPadding(new Insets(15))
    bar.setPrefWidth(380)
    def stage = new Stage()
    stage.initOwner(owner)
    stage.setTitle(title)
    stage.setScene(new Scene(box))
    def shown = new Shown(stage: stage, label: label, bar: bar)
    button.setOnAction { shown.cancel() }
    stage.setOnCloseRequest { shown.cancel() }
    stage.show()
    def thread = new Thread({
        try {
            def said = work(shown)
            Platform.runLater { stage.close(); tell(title, said, owner) }
        } catch (CancellationException ignored) {
            Platform.runLater { stage.close() }
        } catch (Throwable problem) {
            if (problem.class.simpleName != 'NuClickException') problem.printStackTrace()
            Platform.runLater { stage.close(); say(Alert.AlertType.ERROR, title, problem.message ?: problem.toString(), owner) }
        }
    }, 'nuclick')
    thread.setDaemon(true)
    thread.start()
    title
}

/** Says what came of work: a few lines go by themselves, so that the next click need not wait for a button. */
void tell(String title, said, owner) {
    def text = said.toString()
    if (said.hasProperty('rejections') && said.rejections) rejections.show(title, said, Shown.viewers())
    else if (text.readLines().size() > FEW) say(Alert.AlertType.INFORMATION, title, text, owner)
    else Notifications.create().owner(owner).title(title).text(text).hideAfter(Duration.seconds(8)).showInformation()
}

/** Lets the user change a text file; `check` throws where the text is none that the file may have. */
void edit(String name, String hint, File file, Closure check) {
    def title = 'NuClick: ' + name
    def area = new TextArea(file.getText('UTF-8'))
    def alert = new Alert(Alert.AlertType.CONFIRMATION)
    alert.initOwner(QuPathGUI.getInstance().getStage())
    alert.setTitle(title)
    alert.setHeaderText(file.path + '\n' + hint)
    alert.getDialogPane().setContent(area)
    def answer = alert.showAndWait()
    if (!answer.isPresent() || answer.get() != ButtonType.OK) return
    try {
        check(area.getText())
        file.setText(area.getText(), 'UTF-8')
    } catch (RuntimeException problem) {
        say(Alert.AlertType.ERROR, title, 'Nothing is changed: ' + problem.message, alert.getOwner())
    }
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
