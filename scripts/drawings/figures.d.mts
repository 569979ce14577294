/** The types of `figures.mjs`, for the tests. */

/** A rectangle, in pixels. */
export interface Bounds {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

/** A part of a drawing. Words have bounds, and those of a box the bounds of the box as `within`. */
export interface Shape {
  readonly svg: string
  readonly text?: string
  readonly bounds?: Bounds
  readonly within?: Bounds
}

/** A drawing: its size, its shapes and its text as SVG. */
export interface Drawing {
  readonly width: number
  readonly height: number
  readonly shapes: readonly Shape[]
  readonly svg: string
}

/** Makes a drawing, by the name of its file. */
export const figures: Readonly<Record<string, () => Drawing>>
