// Sliders for how the picture is shown; the file stays as it is.
import { PLAIN, type Light, light, setLight, table } from "../stage/light";
import { Section } from "./Section";

export function LightFilter() {
  const values = table(light.value);
  return (
    <svg class="away" aria-hidden="true">
      <filter id="light" color-interpolation-filters="sRGB">
        <feComponentTransfer>
          <feFuncR type="table" tableValues={values} />
          <feFuncG type="table" tableValues={values} />
          <feFuncB type="table" tableValues={values} />
        </feComponentTransfer>
      </filter>
    </svg>
  );
}

export function LightPanel({ server = true }: { server?: boolean }) {
  const now = light.value;
  const changed = JSON.stringify(now) !== JSON.stringify(PLAIN);
  return (
    <Section title="Picture" note={changed ? "changed for viewing" : "as in the file"} name="light" open>
      <Slider label="Black" value={now.low} min={0} max={0.95} step={0.01} set={(low) => setLight({ low: Math.min(low, now.high - 0.02) })} show={percent} />
      <Slider label="White" value={now.high} min={0.05} max={1} step={0.01} set={(high) => setLight({ high: Math.max(high, now.low + 0.02) })} show={percent} />
      <Slider label="Gamma" value={now.gamma} min={0.3} max={3} step={0.05} set={(gamma) => setLight({ gamma })} show={(v) => v.toFixed(2)} />
      {server && <Slider label="Local contrast" value={now.clahe} min={0} max={8} step={0.5} set={(clahe) => later({ clahe })} show={(v) => (v ? v.toFixed(1) : "off")} />}
      {server && <Slider label="Smoothing" value={now.denoise} min={0} max={9} step={1} set={(denoise) => later({ denoise })} show={(v) => (v ? `${v | 1} px` : "off")} />}
      <div class="row">
        <Check label="Invert" on={now.invert} set={(invert) => setLight({ invert })} />
        {server && <Check label="Stretch" on={now.stretch} set={(stretch) => setLight({ stretch })} />}
        <button class="quiet" disabled={!changed} onClick={() => setLight(PLAIN)}>Reset</button>
      </div>
    </Section>
  );
}

const percent = (v: number) => `${Math.round(v * 100)} %`;

/** What the server has to compute is asked for once the hand rests. */
let timer = 0;
function later(change: Partial<Light>): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => setLight(change), 120);
}

interface SliderProps {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number;
  set: (value: number) => void;
  show: (value: number) => string;
}

export function Slider({ label, value, min, max, step, set, show }: SliderProps) {
  return (
    <label class="slider">
      <span>{label}</span>
      <input
        type="range" min={min} max={max} step={step} value={value}
        onInput={(event) => {
          set(Number(event.currentTarget.value));
          event.currentTarget.nextElementSibling!.textContent = show(Number(event.currentTarget.value));
        }}
      />
      <output>{show(value)}</output>
    </label>
  );
}

export function Check({ label, on, set }: { label: string; on: boolean; set: (on: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}
