/** One job of a queue: where it is, what it was given, and what came of it. */
import type { JobDetail } from '../entity-answers.ts'
import { jobNames } from '../fact-names.ts'
import { triesText, waitLine } from '../fact-words.ts'
import { Act } from '../widgets/actions.tsx'
import { usePage } from '../widgets/asking.ts'
import { Card, Facts, StateBadge } from '../widgets/parts.tsx'
import { dueText, sinceText, timeText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { NamedValue } from '../widgets/values.tsx'
import { FailureCard } from './failure.tsx'

/** The job with its values and its lines. */
export const JobView = ({ data: job, route }: { data: JobDetail; route: Route }) => {
  const { header } = usePage()
  const [queue = ''] = route.parts
  const at = (time: number | undefined) => time && timeText(time, header.at)
  const until = (time: number): string => dueText(time, header.at)
  const since = (time: number): string => sinceText(time, header.at)
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('queue', [queue])}>{queue}</a> / {job.id}
        </h1>
        <StateBadge of="job" state={job.state} />
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
              [jobNames.waitsFor, job.waitsFor && waitLine(job.waitsFor, { since, until })],
              [jobNames.addedAt, at(job.addedAt)],
              [jobNames.traceId, job.traceId],
              [jobNames.dueAt, job.dueAt && until(job.dueAt)],
              [jobNames.tries, triesText(job.tries, job.triesMax)],
              [jobNames.failingSince, at(job.failingSince)],
              [jobNames.failedAt, at(job.failedAt)],
              [jobNames.doneAt, at(job.doneAt)],
              [jobNames.key, job.key],
              [jobNames.priority, String(job.priority)],
              [jobNames.tryKey, job.tryKey],
            ]}
          />
        </Card>
        <Card title="Values" width="two-thirds">
          <NamedValue title={jobNames.attributes} value={job.attributes} />
          <NamedValue title={jobNames.input} value={job.input} />
          <NamedValue title={jobNames.progress} value={job.progress} />
          <NamedValue title={jobNames.result} value={job.result} />
          {job.log.length > 0 && (
            <>
              <h2 style={{ margin: '10px 0 4px' }}>{jobNames.log}</h2>
              <pre>{job.log.join('\n')}</pre>
            </>
          )}
        </Card>
      </div>
    </>
  )
}
