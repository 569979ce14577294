/** A machine as a drawing, with the states that it is in filled. */
import { useMemo } from 'preact/hooks'
import {
  drawingOf,
  isActive,
  type OutlineState,
  type PlacedEdge,
  type PlacedState,
} from './machine-layout.ts'

/** `last`: the state that it was in one turn before, so that the way from there is marked. */
export const MachineDrawing = (props: {
  readonly states: readonly OutlineState[]
  readonly value: unknown
  readonly last?: unknown
}) => {
  const { states, value, last } = props
  const drawing = useMemo(() => drawingOf(states), [JSON.stringify(states)])
  const { width, height } = drawing
  const isLast = ({ from, to }: PlacedEdge): boolean =>
    last !== undefined &&
    from !== to &&
    isActive(last, from) &&
    isActive(value, to) &&
    !isActive(last, to)
  return (
    <div class="machine">
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label="The machine"
        // A large machine is scrolled before it is too small to read.
        style={{ minWidth: `${width * 0.65}px` }}
      >
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path d="M0 0.8 L8 4 L0 7.2 z" />
          </marker>
        </defs>
        {drawing.states.filter(({ isGroup }) => isGroup).map((state) => stateOf(state, value))}
        {drawing.edges.map((edge, at) => (
          <g class={`edge ${isLast(edge) ? 'last' : ''}`} key={`${edge.from} ${edge.to} ${at}`}>
            <path d={pathOf(edge.points)} marker-end="url(#arrow)" />
            <text x={edge.at.x} y={edge.at.y + 3}>
              {edge.label}
            </text>
          </g>
        ))}
        {drawing.states.filter(({ isGroup }) => !isGroup).map((state) => stateOf(state, value))}
      </svg>
    </div>
  )
}

const stateOf = (
  { id, title, isFinal, isGroup, x, y, width, height }: PlacedState,
  value: unknown,
) => {
  const names = [isGroup && 'group', isFinal && 'final', isActive(value, id) && 'active']
  return (
    <g class={names.filter(Boolean).join(' ')} key={id}>
      <rect x={x - width / 2} y={y - height / 2} width={width} height={height} rx="7" />
      <text x={isGroup ? x - width / 2 + 8 : x} y={isGroup ? y - height / 2 + 15 : y + 4}>
        {title}
      </text>
    </g>
  )
}

/** A line through the points, round at its bends. */
const pathOf = (points: PlacedEdge['points']): string => {
  const [first, ...rest] = points
  if (!first) return ''
  const bends = rest.map(({ x, y }, at) => {
    const next = rest[at + 1]
    return next ? `Q${x} ${y} ${(x + next.x) / 2} ${(y + next.y) / 2}` : `L${x} ${y}`
  })
  return `M${first.x} ${first.y} ${bends.join(' ')}`
}
