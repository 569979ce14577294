/** Where the states and transitions of a machine are drawn. Pure. */
import { Graph, layout } from '@dagrejs/dagre'
import { durationText } from './quantities.ts'

/** A state as the instance describes it, those around it first. */
export type OutlineState = {
  readonly path: readonly string[]
  readonly isFinal: boolean
  readonly transitions: readonly {
    readonly event: string
    readonly guard?: string | undefined
    readonly to: readonly (readonly string[])[]
  }[]
}

/** A box: its middle and its size. */
export type Box = {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A state in its place. */
export type PlacedState = Box & {
  readonly id: string
  readonly title: string
  readonly isFinal: boolean
  /** Whether it has states inside. */
  readonly isGroup: boolean
}

/** A transition in its place. */
export type PlacedEdge = {
  readonly from: string
  readonly to: string
  readonly label: string
  readonly points: readonly { readonly x: number; readonly y: number }[]
  readonly at: { readonly x: number; readonly y: number }
}

/** A machine in its place. */
export type Drawing = {
  readonly width: number
  readonly height: number
  readonly states: readonly PlacedState[]
  readonly edges: readonly PlacedEdge[]
}

/** About the width of a character of the drawing, in pixels. */
const charWidth = 7

/** The name of a state in a drawing. */
const stateId = (path: readonly string[]): string => path.join('/')

/** Whether a machine with this state value is in the state of this name. */
export const isActive = (value: unknown, id: string): boolean => {
  if (typeof value === 'string') return value === id
  if (typeof value !== 'object' || value === null) return false
  const [key = '', ...rest] = id.split('/')
  if (!Object.hasOwn(value, key)) return false
  return rest.length === 0 || isActive(Reflect.get(value, key), rest.join('/'))
}

/** A delay of a machine is named in ms. */
const eventText = (event: string): string =>
  event.replace(/^after (\d+) ms$/, (_, ms) => `after ${durationText(Number(ms))}`) || 'always'

const labelOf = (event: string, guard: string | undefined): string =>
  [eventText(event), guard === undefined ? '' : `[${guard}]`].filter(Boolean).join(' ')

/** The drawing of a machine: states from top to bottom, in the order of its transitions. */
export const drawingOf = (states: readonly OutlineState[]): Drawing => {
  const graph = new Graph({ compound: true, multigraph: true })
  graph.setGraph({ rankdir: 'TB', nodesep: 28, ranksep: 34, edgesep: 14, marginx: 8, marginy: 8 })
  const shown = states.filter(({ path }) => path.length > 0)
  const groups = new Set(shown.map(({ path }) => stateId(path.slice(0, -1))))
  for (const { path } of shown) {
    const title = path.at(-1) ?? ''
    graph.setNode(stateId(path), { width: title.length * charWidth + 26, height: 28 })
  }
  for (const { path } of shown)
    if (path.length > 1) graph.setParent(stateId(path), stateId(path.slice(0, -1)))
  const edges = shown.flatMap(({ path, transitions }) =>
    transitions.flatMap(({ event, guard, to }) =>
      to.map((target) => ({
        from: stateId(path),
        to: stateId(target),
        label: labelOf(event, guard),
      })),
    ),
  )
  // dagre lays out edges between states without others inside only.
  const leafOf = (id: string): string => {
    const inside = shown.find(({ path }) => stateId(path.slice(0, -1)) === id)
    return inside ? leafOf(stateId(inside.path)) : id
  }
  edges.forEach(({ from, to, label }, at) => {
    const size = { width: label.length * charWidth * 0.9 + 8, height: 16, labelpos: 'c' }
    graph.setEdge(leafOf(from), leafOf(to), size, String(at))
  })
  layout(graph)
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number }
  return {
    width,
    height,
    states: shown.map(({ path, isFinal }) => {
      const id = stateId(path)
      const { x, y, width, height } = graph.node(id) as Box
      return {
        id,
        title: path.at(-1) ?? '',
        isFinal,
        isGroup: groups.has(id),
        x,
        y,
        width,
        height,
      }
    }),
    edges: edges.map(({ from, to, label }, at) => {
      const found = graph.edge(leafOf(from), leafOf(to), String(at)) as {
        readonly points: PlacedEdge['points']
        readonly x: number
        readonly y: number
      }
      return { from, to, label, points: found.points, at: { x: found.x, y: found.y } }
    }),
  }
}
