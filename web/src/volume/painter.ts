// Draws surfaces by WebGL: shaded, turned by hand, one segment brought out; tells which segment lies under a point.
import type { Solid } from "./surfaces";

export interface Turn {
  yaw: number; // about the body's long axis (z)
  pitch: number;
  zoom: number;
}
export interface Look {
  colour: [number, number, number];
  faded: boolean;
}

const VERTEX = `#version 300 es
in vec3 place; in vec3 normal;
uniform mat3 turn; uniform vec3 middle; uniform vec2 scale; uniform float depth;
out vec3 facing;
void main() {
  vec3 seen = turn * (place - middle);
  facing = turn * normal;
  gl_Position = vec4(seen.xy * scale, seen.z * depth, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 facing;
uniform vec3 colour; uniform float faded; uniform float flat_;
out vec4 shown;
void main() {
  if (flat_ > 0.5) { shown = vec4(colour, 1.0); return; }
  if (faded > 0.5 && mod(floor(gl_FragCoord.x) + 2.0 * floor(gl_FragCoord.y), 4.0) > 0.5) discard;
  float light = abs(dot(normalize(facing), normalize(vec3(-0.35, 0.5, -0.8))));
  shown = vec4(colour * (0.28 + 0.78 * light) + 0.12 * pow(light, 18.0), 1.0);
}`;

interface Loaded {
  id: number;
  vao: WebGLVertexArrayObject;
  count: number;
}

export class Painter {
  private readonly gl: WebGL2RenderingContext;
  private readonly program: WebGLProgram;
  private loaded: Loaded[] = [];
  private reach = 1;
  private middle = [0, 0, 0];

  /** Raises Error where the browser has no WebGL 2. */
  constructor(private readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("This browser draws nothing in 3-D (no WebGL 2).");
    this.gl = gl;
    this.program = gl.createProgram()!;
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
      const shader = gl.createShader(kind)!;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(this.program) ?? "no 3-D");
    gl.useProgram(this.program);
    gl.enable(gl.DEPTH_TEST);
  }

  load(solid: Solid): void {
    const gl = this.gl;
    for (const one of this.loaded) gl.deleteVertexArray(one.vao);
    const [least, most] = [[...solid.extent], solid.extent.map((v) => -v)];
    for (const { places } of solid.surfaces) {
      for (let i = 0; i < places.length; i++) {
        const k = i % 3;
        if (places[i] < least[k]) least[k] = places[i];
        if (places[i] > most[k]) most[k] = places[i];
      }
    }
    this.middle = least.map((v, k) => (v + most[k]) / 2);
    this.reach = Math.hypot(...least.map((v, k) => most[k] - v)) / 2 || 1;
    this.loaded = solid.surfaces.filter((s) => s.faces.length).map((surface) => {
      const vao = gl.createVertexArray()!;
      gl.bindVertexArray(vao);
      for (const [name, data] of [["place", surface.places], ["normal", surface.normals]] as const) {
        const at = gl.getAttribLocation(this.program, name);
        gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
        gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
        gl.enableVertexAttribArray(at);
        gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
      }
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, surface.faces, gl.STATIC_DRAW);
      return { id: surface.id, vao, count: surface.faces.length };
    });
  }

  draw(turn: Turn, look: (id: number) => Look | null): void {
    this.frame(turn);
    for (const one of this.loaded) {
      const how = look(one.id);
      if (how) this.one(one, how.colour, how.faded, false);
    }
  }

  /** The segment under a point of the canvas (CSS px), or null. */
  pick(turn: Turn, look: (id: number) => Look | null, x: number, y: number): number | null {
    const gl = this.gl;
    this.frame(turn);
    for (const one of this.loaded) {
      if (look(one.id)) this.one(one, [(one.id & 255) / 255, (one.id >> 8) / 255, 1], false, true);
    }
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const pixel = new Uint8Array(4);
    gl.readPixels(Math.round(x * ratio), Math.round(this.canvas.height - y * ratio), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    this.draw(turn, look);
    return pixel[2] === 255 && pixel[3] === 255 ? pixel[0] + 256 * pixel[1] : null;
  }

  private frame({ yaw, pitch, zoom }: Turn): void {
    const { gl, canvas } = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    // z of the volume points up on the screen; columns as WebGL wants them
    const matrix = [cy, -sy * sp, sy * cp, -sy, -cy * sp, cy * cp, 0, cp, sp];
    const short = Math.min(canvas.width, canvas.height);
    const scale = (zoom * 1.15) / this.reach;
    gl.uniformMatrix3fv(this.at("turn"), false, matrix);
    gl.uniform3f(this.at("middle"), this.middle[0], this.middle[1], this.middle[2]);
    gl.uniform2f(this.at("scale"), (scale * short) / canvas.width, (scale * short) / canvas.height);
    gl.uniform1f(this.at("depth"), 0.9 / this.reach);
  }

  private one(surface: Loaded, colour: [number, number, number], faded: boolean, flat: boolean): void {
    const gl = this.gl;
    gl.uniform3f(this.at("colour"), ...colour);
    gl.uniform1f(this.at("faded"), faded ? 1 : 0);
    gl.uniform1f(this.at("flat_"), flat ? 1 : 0);
    gl.bindVertexArray(surface.vao);
    gl.drawElements(gl.TRIANGLES, surface.count, gl.UNSIGNED_INT, 0);
  }

  private at = (name: string) => this.gl.getUniformLocation(this.program, name);
}
