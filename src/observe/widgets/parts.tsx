/** The small parts that views are made of. */
import type { ComponentChildren } from 'preact'
import { type stateTones, toneOf } from '../state-tones.ts'
import { agoText, sinceText } from './quantities.ts'

/** How good or bad something is: only the bad has colour. */
export type Tone = 'good' | 'warn' | 'bad' | undefined

/** A word in a coloured field. */
export const Badge = ({ tone, children }: { tone?: Tone; children: ComponentChildren }) => (
  <span class={`badge ${tone ?? ''}`}>{children}</span>
)

/** A state of a part, as bad as the table of states says. `children`: other words for it. */
export const StateBadge = (props: {
  readonly of: keyof typeof stateTones
  readonly state: string
  readonly children?: ComponentChildren
}) => <Badge tone={toneOf(props.of, props.state)}>{props.children ?? props.state}</Badge>

/** A part of a view with its title. `width`: a class of the grid. */
export const Card = (props: {
  readonly title?: string
  /** Whether the title is a name of users, which is shown as it is. */
  readonly isName?: boolean
  readonly width?: 'half' | 'third' | 'two-thirds'
  readonly isAlarming?: boolean
  /** Whether its content reaches its edges: tables do. */
  readonly isFlush?: boolean
  readonly aside?: ComponentChildren
  readonly children: ComponentChildren
}) => (
  <section class={`card ${props.width ?? ''} ${props.isAlarming ? 'alarm' : ''}`}>
    {props.title !== undefined && (
      <header>
        <h2 class={props.isName ? 'name' : ''}>{props.title}</h2>
        <span class="fill" />
        {props.aside}
      </header>
    )}
    <div class={props.isFlush ? 'flush' : 'body'}>{props.children}</div>
  </section>
)

/** Names with their values. A value that is `undefined` is left out. */
export const Facts = ({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) => (
  <dl class="facts">
    {of.map(([name, value]) =>
      value === undefined ? null : [<dt key={name}>{name}</dt>, <dd key={`${name} `}>{value}</dd>],
    )}
  </dl>
)

/** The place of a list that has nothing, and the reason. */
export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <b>{title}</b>
    {children}
  </div>
)

/** A number in words; a dash while there is none. */
export const measured = (value: number | undefined, text: (value: number) => string) =>
  value === undefined ? <span class="muted">–</span> : text(value)

/** How long ago something was, with its time on hover. */
export const Ago = ({ at, now }: { at: number; now: number }) => (
  <time title={new Date(at).toISOString()}>{agoText(at, now)}</time>
)

/** Since when something lasts, and how long that is. */
export const Since = ({ at, now }: { at: number; now: number }) => (
  <time title={new Date(at).toISOString()}>{sinceText(at, now)}</time>
)

/** The height of small bars, in pixels. */
const height = 14

/** Counts over time as small bars: those of failures. */
export const SparkBars = (props: {
  readonly values: readonly number[]
  readonly title: string
}) => {
  const { values, title } = props
  const max = Math.max(3, ...values)
  return (
    <svg class="spark" width={values.length * 4} height={height} role="img" aria-label={title}>
      <title>{title}</title>
      {values.map((value, at) => {
        const size = value === 0 ? 1.5 : Math.max(3, (value / max) * height)
        return (
          <rect
            key={at}
            class={value === 0 ? 'rest' : 'bar bad'}
            x={at * 4}
            y={height - size}
            width="3"
            height={size}
          />
        )
      })}
    </svg>
  )
}
