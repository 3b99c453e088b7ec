#!/usr/bin/env bash
# ipykernel with nbclient: what a background thread prints is under another cell or
# nowhere, depending on the kernel's version.
#
# Versions: nbclient 0.11.0 with ipykernel 7.4.0 and with 6.29.5, nbformat 5.11.1.
# Behaviour: a thread started in one cell prints while a later cell runs. With
#   ipykernel 7.4.0 the line becomes an output of that later cell. With 6.29.5 the
#   kernel attributes it to the first cell, nbclient has done with that cell, and
#   the line is in no cell of the executed notebook.
# Guess: the line stands under the cell that started the thread, or under the one
#   that runs; that it can be lost, and that the kernel's version decides, nobody
#   would look for.
# Seen:
#   ipykernel 7.4.0: start: 'early', later: 'late'
#   ipykernel 6.29.5: start: 'early', later: nothing
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/home"
python3 -m venv "$tmp/new"
"$tmp/new/bin/pip" install -qq --no-compile ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.11.1
python3 -m venv "$tmp/old"
"$tmp/old/bin/pip" install -qq --no-compile ipykernel==6.29.5 nbclient==0.11.0 nbformat==5.11.1

seen_with() {
    HOME="$tmp/home" PATH="$tmp/$1/bin:$PATH" python - <<'PY'
from nbclient import NotebookClient
from nbformat import v4

START = """import threading
early, go = threading.Event(), threading.Event()

def work():
    print("early", flush=True)
    early.set()
    go.wait()
    print("late", flush=True)

thread = threading.Thread(target=work)
thread.start()
x = early.wait()"""
LATER = """go.set()
thread.join()"""

cells = [v4.new_code_cell(START, id="start"), v4.new_code_cell(LATER, id="later")]
kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
NotebookClient(notebook).execute()
words = []
for cell in notebook.cells:
    text = "".join(output.text for output in cell.outputs).strip()
    words.append(f"{cell.id}: {text!r}" if text else f"{cell.id}: nothing")
print(", ".join(words))
PY
}

check() {
    seen="$(seen_with "$1")"
    echo "$2: $seen"
    if [ "$seen" != "$3" ]; then
        echo "Changed: with $2 the outputs were [$3] before."
        exit 1
    fi
}

check new "ipykernel 7.4.0" "start: 'early', later: 'late'"
check old "ipykernel 6.29.5" "start: 'early', later: nothing"
