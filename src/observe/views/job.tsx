/** One job of a queue: where it is, what it was given, and what came of it. */
import type { JobDetail } from '../entity-answers.ts'
import { toneOf } from '../state-tones.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage } from '../widgets/asking.ts'
import { Badge, Card, Facts } from '../widgets/parts.tsx'
import { countText, dueText, timeText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { NamedValue } from '../widgets/values.tsx'
import { FailureCard } from './failure.tsx'
import { waitText } from './jobs.tsx'

/** The job with its values and its lines. */
export const JobView = ({ data: job, route }: { data: JobDetail; route: Route }) => {
  const { header } = usePage()
  const [queue = ''] = route.parts
  const at = (time: number | undefined) => time && timeText(time, header.at)
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('queue', [queue])}>{queue}</a> / {job.id}
        </h1>
        <Badge tone={toneOf('job', job.state)}>{job.state}</Badge>
        <span class="fill" />
        <div class="acts">
          {job.state === 'dead' && (
            <Act of={{ act: 'retryJob', queue, id: job.id }} title="Retry" />
          )}
          {job.state !== 'done' && (
            <Act of={{ act: 'removeJob', queue, id: job.id }} title="Remove job" isDangerous />
          )}
        </div>
      </div>
      {job.error !== undefined && <p class="banner bad">{job.error}</p>}
      <div class="cards">
        <FailureCard lines={job.failure} />
        <Card title="Job" width="third">
          <Facts
            of={[
              ['waits for', job.waitsFor && waitText(job.waitsFor, header.at)],
              ['added', at(job.addedAt)],
              ['due', job.dueAt && dueText(job.dueAt, header.at)],
              ['tries', countText(job.tries)],
              ['last failed', at(job.failedAt)],
              ['done', at(job.doneAt)],
              ['key', job.key],
              ['priority', String(job.priority)],
              ['key of tries', job.tryKey],
            ]}
          />
        </Card>
        <Card title="Values" width="two-thirds">
          <NamedValue title="Job" value={job.input} />
          <NamedValue title="Progress" value={job.progress} />
          <NamedValue title="Result" value={job.result} />
          {job.log.length > 0 && (
            <>
              <h2 style={{ margin: '10px 0 4px' }}>Log</h2>
              <pre>{job.log.join('\n')}</pre>
            </>
          )}
        </Card>
      </div>
    </>
  )
}
