// Requests to the local server. Each carries the token, which is kept for this tab alone and never in the address.

const KEY = "nuclick-token";

/** Take the token out of the address that the browser was opened with. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    keepToken(given);
    history.replaceState(null, "", location.pathname);
  }
}

export function keepToken(value) {
  sessionStorage.setItem(KEY, value);
}

export function headers() {
  return { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` };
}

/** What the server says is wrong, and what to do. */
export class Problem extends Error {
  constructor(status, error, hint, changes = null) {
    super(error);
    this.status = status;
    this.hint = hint;
    this.changes = changes;
  }
}

/** Send a request and return the response; Problem if the server refuses it or is gone. */
export async function send(method, path, { body, signal, accept, keepalive } = {}) {
  const isBytes = body instanceof Blob;
  const sent = { ...headers(), ...(accept && { Accept: accept }) };
  let response;
  try {
    const content = body === undefined || isBytes ? body : JSON.stringify(body);
    response = await fetch(path, { method, headers: sent, body: content, signal, keepalive });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The viewer does not answer.", "Start it again (nuclick-wsi view ...): what was saved is kept.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const { error, hint, changes } = await response.json().catch(() => ({ error: `The server answers ${response.status}.`, hint: "" }));
  return new Problem(response.status, error, hint, changes);
}

export async function ask(method, path, options) {
  return (await send(method, path, options)).json();
}

/** Send a request whose answer comes as lines of progress and then the result. */
export async function askWithProgress(path, body, onProgress, signal) {
  const response = await send("POST", path, { body, signal, accept: "application/x-ndjson" });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines.filter(Boolean).map((text) => JSON.parse(text))) {
      if (line.result) return line.result;
      if (line.error) throw new Problem(422, line.error, line.hint);
      onProgress(line.progress.done, line.progress.total);
    }
    if (done) throw new Problem(0, "The viewer ended in the middle of an answer.", "Start it again.");
  }
}
