/** The tail of what was recorded: by level, by sort, and by the process or the entity. */
import type { LogTail } from '../process-answers.ts'
import { usePage } from '../widgets/asking.ts'
import { EventList } from '../widgets/events.tsx'
import { Card, Empty } from '../widgets/parts.tsx'
import { addressOf, type Route } from '../widgets/route.ts'
import { Choice, SearchField } from '../widgets/search.tsx'

const levels = [
  ['', 'every level'],
  ['error', 'errors'],
  ['warn', 'warnings'],
] as const

const sorts = [
  'crash',
  'restart',
  'gave_up',
  'backed_off',
  'step_failed',
  'blocked',
  'shard_down',
  'subscription_stopped',
  'slow_handler',
  'log',
]

/** The log tail: its level, sort and search are in its address. */
export const LogView = ({ data, route }: { data: LogTail; route: Route }) => {
  const { header } = usePage()
  const { level = '', sort = '', find = '' } = route.query
  const show = (changed: Route['query']): void => {
    location.hash = addressOf('log', [], { level, sort, find, ...changed })
  }
  return (
    <>
      <div class="top">
        <h1>Log tail</h1>
        <span class="fill" />
        <Choice
          label="Level"
          value={level}
          options={levels}
          onChoose={(level) => show({ level })}
        />
        <Choice
          label="Sort"
          value={sort}
          options={[
            ['', 'every sort'],
            ...sorts.map((name) => [name, name.replaceAll('_', ' ')] as const),
          ]}
          onChoose={(sort) => show({ sort })}
        />
        <SearchField
          find={find}
          placeholder="process, entity or text"
          onFind={(find) => show({ find })}
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
