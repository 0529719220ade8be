// The settings as a dialog; what it writes is the file that they have always been in.

import groovy.json.JsonOutput
import groovy.transform.Field
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.scene.control.Alert
import javafx.scene.control.ButtonType
import javafx.scene.control.CheckBox
import javafx.scene.control.ChoiceBox
import javafx.scene.control.Dialog
import javafx.scene.control.Label
import javafx.scene.control.TextArea
import javafx.scene.control.TextField
import javafx.scene.layout.GridPane
import qupath.lib.gui.QuPathGUI

@Field final Map SAID = [
    nucleus: 'nuclei', cell: 'cells', 'cell+nucleus': 'cells with their nuclei', detection: 'detections', annotation: 'annotations',
    crop: 'as a whole', tiled: 'in parts', any: 'all models, research included', open: 'models for any use alone',
]
@Field final String OWN_CLASS = "the click's own"
@Field final String USUAL = 'the usual one'

/** Shows the dialog as soon as the server has said which models there are, or that it is not there. */
void show(File file) {
    def settings = server.settings()
    Thread.startDaemon('nuclick-models') {
        def models = modelsOf(settings)
        Platform.runLater { ask(file, settings, models) }
    }
}

void ask(File file, Map settings, Map models) {
    def fields = [
        'clicks': list('Clicks are', server.CHOICES.clicks, settings.clicks),
        'as': list('Outlines become', server.CHOICES.as, settings.as),
        'class': list('Class of outlines', [OWN_CLASS] + classes(), settings['class'] ?: OWN_CLASS),
        'remove_prompts': check('Remove clicks and lines after use', settings.remove_prompts),
        'sureness_colors': check('Colour outlines by sureness in live mode', settings.sureness_colors),
        'gland_mode': list('Large glands are seen', server.CHOICES.gland_mode, settings.gland_mode),
        'terms': list('Terms', server.CHOICES.terms, settings.terms),
        'tta': check('Mean of eight turns and flips (slower)', settings.tta),
    ] + models.collectEntries { kind, found -> ["model ${kind}".toString(), list("Model of a ${kind}", [USUAL] + found.names, found.chosen ?: USUAL)] } + [
        'device': text('Device', settings.device),
        'port': text('Port', "${settings.port as int}"),
        'allow': lines('Further folders of slides, one a line', settings.allow),
    ]
    def dialog = new Dialog()
    dialog.initOwner(QuPathGUI.getInstance().getStage())
    dialog.setTitle('NuClick: Settings')
    dialog.setHeaderText("Terms, eight turns, models, device, port and folders count for the next server (Extensions > NuClick > Restart server).\nAll else counts at once. They are kept in ${file}.".toString())
    dialog.getDialogPane().setContent(grid(fields.values()))
    dialog.getDialogPane().getButtonTypes().addAll(ButtonType.OK, ButtonType.CANCEL)
    def answer = dialog.showAndWait()
    if (!answer.isPresent() || answer.get() != ButtonType.OK) return
    try {
        save(file, fields.collectEntries { key, field -> [key, field.chosen.call()] }, models)
    } catch (RuntimeException problem) {
        window.say(Alert.AlertType.ERROR, 'NuClick: Settings', 'Nothing is changed: ' + problem.message, dialog.getOwner())
    }
}

/** Writes what was chosen over the settings of the file; what the dialog does not show stays. */
void save(File file, Map chosen, Map models) {
    def said = server.checked(file.getText('UTF-8'))
    def port = chosen.port.trim()
    if (!port.isInteger()) throw new NuClickException("The settings have port ${port}; it is a number below 65536.")
    def kinds = models.keySet().collectEntries { [it, chosen["model ${it}".toString()]] }
    // A model that is no shipped one, and is for a kind that the list does not have, stays.
    def others = said.models.findAll { one -> !models.any { kind, found -> found.names.contains(one) } }
    def plain = chosen.findAll { !it.key.startsWith('model ') }
    def changed = said + plain + [port: port as int, 'class': chosen['class'] == OWN_CLASS ? '' : chosen['class'],
        allow: chosen.allow.readLines()*.trim().findAll(), models: kinds.values().findAll { it != USUAL } + others]
    def text = JsonOutput.prettyPrint(gson.toJson(changed))
    server.checked(text)
    file.setText(text, 'UTF-8')
}

/** The models that the server offers, by kind, with the one that is chosen; none where it does not run. */
Map modelsOf(settings) {
    try {
        server.health(settings).offered.groupBy { it.kind }.collectEntries { kind, some ->
            [kind, [names: some*.name, chosen: some*.name.find { settings.models.contains(it) }]]
        }
    } catch (IOException | NuClickException ignored) {
        [:]
    }
}

List classes() {
    QuPathGUI.getInstance().getAvailablePathClasses().findAll { it?.getName() && !it.toString().startsWith('Ignore') }*.toString()
}

Map list(String label, List values, chosen) {
    def box = new ChoiceBox()
    def all = values.contains(chosen) ? values : values + chosen
    box.getItems().setAll(all.collect { SAID[it] ?: it.toString() })
    box.getSelectionModel().select(all.indexOf(chosen))
    [label: label, node: box, chosen: { all[box.getSelectionModel().getSelectedIndex()] }]
}

Map check(String label, isOn) {
    def box = new CheckBox()
    box.setSelected(isOn as boolean)
    [label: label, node: box, chosen: { box.isSelected() }]
}

Map text(String label, said) {
    def field = new TextField(said.toString())
    [label: label, node: field, chosen: { field.getText() }]
}

Map lines(String label, List said) {
    def area = new TextArea(said.join('\n'))
    area.setPrefRowCount(2)
    area.setPrefColumnCount(30)
    [label: label, node: area, chosen: { area.getText() }]
}

def grid(Collection fields) {
    def grid = new GridPane()
    grid.setHgap(10)
    grid.setVgap(8)
    grid.setPadding(new Insets(10))
    fields.eachWithIndex { field, row -> grid.addRow(row, new Label(field.label), field.node) }
    grid
}

this
