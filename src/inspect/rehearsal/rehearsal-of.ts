/**
 * A rehearsal for a program: without streams, and without the signals of its process. It is apart from the
 * command, which has both.
 */
import { resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import type { RehearsalReport } from '../../flow/index.ts'
import { processEnvironment } from '../command/environment.ts'
import { type RehearsalTerms, rehearsal } from './rehearse-command.ts'

/** The options of `rehearse` of `keelson/operations`, checked. */
type Checked = Omit<RehearsalTerms, 'dir' | 'endedMax' | 'against'> & {
  readonly from: string
  readonly against?: string | undefined
  readonly ended: number
}

/** Judges, with paths that are relative to the present folder. @throws KeelsonError as `rehearsal` */
export const rehearsalOf = ({
  from,
  config,
  against,
  at,
  ended,
  ...how
}: Checked): Promise<RehearsalReport> => {
  const here = processEnvironment()
  const nowhere = new PassThrough().resume()
  const streams = { output: nowhere, errors: nowhere, onSignal: () => () => undefined }
  const absolute = (path: string): string => resolve(here.cwd, path)
  return rehearsal(
    {
      ...how,
      dir: absolute(from),
      config: absolute(config),
      at,
      against: against === undefined ? undefined : absolute(against),
      endedMax: ended,
    },
    { ...here, ...streams },
  )
}
