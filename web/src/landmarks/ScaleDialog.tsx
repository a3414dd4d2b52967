// The scale from two points: how far apart they are in truth.
import { useState } from "preact/hooks";
import { change } from "../edits";
import { Dialog } from "../parts/Dialog";
import { dialog } from "../state";
import { distance, tape, tool } from "./model";

export function ScaleDialog() {
  const [mm, setMm] = useState("10");
  const [a, b] = tape.value;
  const value = Number(mm.replace(",", "."));
  const px = distance(a, b);
  const close = () => {
    dialog.value = null;
    tool.value = "points";
    tape.value = [];
  };
  const accept = (event: Event) => {
    event.preventDefault();
    if (!(value > 0)) return;
    change({ scale: { a, b, mm: value, mm_per_px: value / px } });
    close();
  };
  return (
    <Dialog title="Scale" close={close}>
      <form onSubmit={accept}>
        <p>The two points are {px.toFixed(1)} px apart.</p>
        <label class="field">
          <span>In truth, in mm</span>
          <input type="text" inputMode="decimal" value={mm} onInput={(e) => setMm(e.currentTarget.value)} autoFocus />
        </label>
        <p class="hint">{value > 0 ? `${(value / px).toPrecision(5)} mm per px` : "A number above 0"}</p>
        <footer>
          <button type="button" class="quiet" onClick={close}>Cancel</button>
          <button type="submit" class="main" disabled={!(value > 0)}>Set the scale</button>
        </footer>
      </form>
    </Dialog>
  );
}
