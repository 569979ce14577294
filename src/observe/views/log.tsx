/** The tail of what was recorded: by level, by sort, and by the process or the entity. */
import { useEffect, useState } from 'preact/hooks'
import type { LogTail } from '../process-answers.ts'
import { usePage } from '../widgets/asking.ts'
import { after } from '../widgets/browser.ts'
import { EventList } from '../widgets/events.tsx'
import { Card, Empty } from '../widgets/parts.tsx'
import { addressOf, type Route } from '../widgets/route.ts'

const levels = [
  ['', 'every level'],
  ['error', 'errors'],
  ['warn', 'warnings'],
] as const

const sorts = [
  ...['crash', 'restart', 'gave_up', 'backed_off', 'step_failed', 'blocked', 'shard_down'],
  ...['subscription_stopped', 'slow_handler', 'log'],
]

/** The log tail: its level, sort and search are in its address. */
export const LogView = ({ data, route }: { data: LogTail; route: Route }) => {
  const { header } = usePage()
  const { level = '', sort = '', find = '' } = route.query
  const [typed, setTyped] = useState(find)
  const show = (changed: Route['query']): void => {
    location.hash = addressOf('log', [], { level, sort, find, ...changed })
  }
  // Each letter would open a stream.
  useEffect(() => (typed === find ? undefined : after(250, () => show({ find: typed }))), [typed])
  return (
    <>
      <div class="top">
        <h1>Log tail</h1>
        <span class="fill" />
        <select
          aria-label="Level"
          value={level}
          onChange={(event) => show({ level: event.currentTarget.value })}
        >
          {levels.map(([name, title]) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
        <select
          aria-label="Sort"
          value={sort}
          onChange={(event) => show({ sort: event.currentTarget.value })}
        >
          <option value="">every sort</option>
          {sorts.map((name) => (
            <option key={name} value={name}>
              {name.replaceAll('_', ' ')}
            </option>
          ))}
        </select>
        <input
          type="search"
          placeholder="process, entity or text"
          aria-label="Find"
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </div>
      <Card isFlush>
        {data.lines.length === 0 ? (
          <Empty
            title={
              `${level}${sort}${find}` === '' ? 'Nothing was recorded yet' : 'No line is like this'
            }
          >
            Crashes, restarts and lines from warnings up come here.
          </Empty>
        ) : (
          <EventList events={data.lines} now={header.at} />
        )}
      </Card>
    </>
  )
}
