/** The tail of what was recorded: by sort, and by the process or the entity. */
import { useState } from 'preact/hooks'
import type { LogTail } from '../process-answers.ts'
import { usePage } from '../widgets/asking.ts'
import { EventList } from '../widgets/events.tsx'
import { Card, Empty } from '../widgets/parts.tsx'

const sorts = [
  ...['crash', 'restart', 'gave_up', 'backed_off', 'step_failed', 'blocked', 'shard_down'],
  ...['subscription_stopped', 'slow_handler', 'log'],
]

/** The log tail. */
export const LogView = ({ data }: { data: LogTail }) => {
  const { header } = usePage()
  const [sort, setSort] = useState('')
  const [find, setFind] = useState('')
  const sought = find.toLowerCase()
  const shown = data.lines.filter(
    (line) =>
      (sort === '' || line.sort === sort || line.sort === 'flood') &&
      (sought === '' || `${line.subject} ${line.text}`.toLowerCase().includes(sought)),
  )
  return (
    <>
      <div class="top">
        <h1>Log tail</h1>
        <span class="fill" />
        <select
          aria-label="Sort"
          value={sort}
          onChange={(event) => setSort(event.currentTarget.value)}
        >
          <option value="">everything</option>
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
          value={find}
          onInput={(event) => setFind(event.currentTarget.value)}
        />
      </div>
      <Card isFlush>
        {shown.length === 0 ? (
          <Empty
            title={data.lines.length === 0 ? 'Nothing was recorded yet' : 'No line is like this'}
          >
            Crashes, restarts and lines from warnings up come here.
          </Empty>
        ) : (
          <EventList events={shown} now={header.at} />
        )}
      </Card>
    </>
  )
}
