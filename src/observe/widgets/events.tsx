/** Events of the recorder as a list: the last first. */
import type { ComponentChildren } from 'preact'
import type { Recorded } from '../words.ts'
import { eventKeys } from './event-keys.ts'
import type { Tone } from './parts.tsx'
import { Badge } from './parts.tsx'
import { countText, timeText } from './quantities.ts'
import { addressOf } from './route.ts'

const sorts: Readonly<Record<string, readonly [string, Tone]>> = {
  crash: ['crash', 'bad'],
  restart: ['restart', 'warn'],
  gave_up: ['gave up', 'bad'],
  backed_off: ['backed off', 'warn'],
  step_failed: ['step failed', 'warn'],
  blocked: ['blocked', 'bad'],
  shard_down: ['shard down', 'bad'],
  subscription_stopped: ['subscription stopped', 'bad'],
  slow_handler: ['slow', 'warn'],
  flood: ['flood', undefined],
}

/** The name of a sort of events as a badge. */
const SortBadge = ({ event }: { event: Recorded }) => {
  const [name, tone] = sorts[event.sort] ?? [
    event.kind || event.sort,
    event.kind === 'error' ? 'bad' : 'warn',
  ]
  return <Badge tone={tone}>{name}</Badge>
}

const subjectOf = ({ subject, pid, link }: Recorded): ComponentChildren => {
  const title = subject || (pid === undefined ? '' : `<${pid}>`)
  return link === undefined ? title : <a href={addressOf(link.view, link.parts)}>{title}</a>
}

/** The events, each with its text under it. */
export const EventList = (props: {
  readonly events: readonly Recorded[]
  readonly now: number
}) => {
  const keys = eventKeys(props.events)
  const rows = props.events.map((event, at) => (
    <tr key={keys[at]}>
      <td class="muted nowrap">
        {event.times !== undefined && 'last '}
        {timeText(event.at, props.now)}
      </td>
      <td class="nowrap">
        <SortBadge event={event} />
        {event.times !== undefined && <span class="muted"> ×{countText(event.times)}</span>}
      </td>
      <td class="what">
        <Details event={event} />
      </td>
    </tr>
  ))
  return (
    <div class="wide">
      <table class="log">
        <tbody>{rows.reverse()}</tbody>
      </table>
    </div>
  )
}

const Details = ({ event }: { event: Recorded }) => {
  const { reason, lastMessage, text } = event
  const [first = '', ...rest] = text.split('\n')
  const whole = reason ?? first
  const short = whole.startsWith(event.subject) ? whole.slice(event.subject.length) : whole
  return (
    <>
      {[subjectOf(event), short.trim()]
        .filter((part) => part !== '')
        .flatMap((part) => [part, ' '])}
      {lastMessage !== undefined && <span class="muted"> while it handled {lastMessage}</span>}
      {(rest.length > 0 || (reason !== undefined && text !== reason)) && (
        <details>
          <summary class="muted">all of it</summary>
          <pre class="text">{text}</pre>
        </details>
      )}
    </>
  )
}
