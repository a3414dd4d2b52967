// Buttons with a picture: drawn lines on a 20 px grid, with a name for those who do not see them.
const PATHS: Record<string, string> = {
  in: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4ZM9 6.7v4.6M6.7 9h4.6M13 13l3.6 3.6",
  out: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4ZM6.7 9h4.6M13 13l3.6 3.6",
  fit: "M4 7V4h3M13 4h3v3M16 13v3h-3M7 16H4v-3M7.5 8h5v4h-5z",
  text: "M5 6V4.5h10V6M10 4.5v11M8 15.5h4",
  line: "M5 15 9 6l5 4 2-5M5 15h.01M9 6h.01M14 10h.01",
  ghost: "M10 3.5 16 10l-6 6.5L4 10Z",
  ellipse: "M4.2 12.6c-1-2.4 1-5.6 4.6-6.700s6.2-.2 7 1.8-1 5.2-4.7 6.5-6 .6-6.9-1.600ZM10 10h.01",
  ruler: "m3.5 13 9.5-9.5 3.5 3.500L7 16.500ZM6.2 10.300l1.5 1.500M8.5 8l1.5 1.500M10.8 5.700l1.5 1.5",
  scale: "M4 10h12M4 7v6M16 7v6M7 8.800v2.400M10 8.800v2.400M13 8.800v2.4",
  sun: "M10 6.500a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 2.500v1.500M10 16v1.500M2.5 10H4M16 10h1.500M4.7 4.700l1 1M14.3 14.300l1 1M4.7 15.300l1-1M14.3 5.700l1-1",
  moon: "M15.5 12A6 6 0 0 1 8 4.500a6 6 0 1 0 7.5 7.500Z",
  help: "M10 3.500a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8.2 8.300c0-1.1.8-1.8 1.9-1.800s1.8.7 1.8 1.600c0 1.4-1.9 1.5-1.9 3M10 13.500h.01",
  undo: "M7 5 3.5 8.5 7 12M4 8.500h8a4 4 0 0 1 0 8H9",
  redo: "M13 5l3.5 3.500L13 12M16 8.500H8a4 4 0 0 0 0 8h3",
  panel: "M3.5 4.500h13v11h-13zM12 4.500v11",
  list: "M4 5.500h12M4 10h12M4 14.500h12",
  play: "M6.5 4.500v11l9-5.500Z",
  pause: "M7 4.500v11M13 4.500v11",
  back: "M13 5l-5 5 5 5",
  forth: "M7 5l5 5-5 5",
  swap: "M4 7h11l-3-3M16 13H5l3 3",
  out_door: "M8 4H4v12h4M12 6.5 15.5 10 12 13.500M15.5 10H8",
};

interface Props {
  name: keyof typeof PATHS | string;
  label: string;
  keys?: string;
  on?: boolean;
  off?: boolean;
  press: () => void;
}

export function Icon({ name, label, keys, on, off, press }: Props) {
  return (
    <button class={`icon ${on ? "on" : ""}`} title={keys ? `${label} (${keys})` : label} aria-label={label} aria-pressed={on} disabled={off} onClick={press}>
      <Glyph name={name} />
    </button>
  );
}

export function Glyph({ name }: { name: string }) {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
