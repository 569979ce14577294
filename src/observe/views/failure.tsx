/**
 * The record of a failure: its error, the frames of the user's code, and its causes. Runs and jobs have
 * one.
 */
import { Card } from '../widgets/parts.tsx'

type Lines = readonly string[] | undefined

/** The record of the failure of a run or a job, if it has one. */
export const FailureCard = ({ lines }: { lines: Lines }) =>
  lines && (
    <Card title="Failure" isAlarming>
      <FailureLines lines={lines} />
    </Card>
  )

/** The lines of a record. */
export const FailureLines = ({ lines }: { lines: Lines }) =>
  lines ? <pre class="text">{lines.join('\n')}</pre> : null
