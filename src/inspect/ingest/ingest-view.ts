/** The progress lines of an ingestion, for a terminal and for a file, and its summary. Pure. */
import { errorText } from '../text/error-view.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { bytesText, clockText, countText, durationText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type { IngestFailure, IngestProgress } from './ingest.ts'

/** The remaining time in ms at the present pace; `undefined` while it is unknown. */
export const timeLeftMs = (
  { bytes, elapsedMs }: IngestProgress,
  totalBytes: number | undefined,
): number | undefined =>
  totalBytes === undefined || bytes <= 0 || elapsedMs <= 0
    ? undefined
    : (Math.max(0, totalBytes - bytes) / bytes) * elapsedMs

/**
 * One line with a bar, for a terminal of `columns`. Parts that do not fit are left out from the
 * right.
 */
export const progressBar = (
  progress: IngestProgress,
  totalBytes: number | undefined,
  columns: number,
  paint: Paint = plainPaint,
): string => {
  const share = shareOf(progress, totalBytes)
  const width = 24
  const parts = progressParts(progress, totalBytes)
  const head =
    share === undefined ? '' : `${bar(share, width, paint)} ${percent(share).padStart(4)}  `
  let room = columns - 1 - (share === undefined ? 0 : width + 7)
  const shown = parts.filter((part) => {
    room -= part.length + 2
    return room >= -2
  })
  return head + shown.join('  ')
}

/** The same as one plain sentence, for a file or a pipe. */
export const progressLine = (progress: IngestProgress, totalBytes: number | undefined): string => {
  const share = shareOf(progress, totalBytes)
  const parts = progressParts(progress, totalBytes)
  return [...(share === undefined ? [] : [percent(share)]), ...parts].join(', ')
}

/** The facts of the summary beside the counts. */
export type IngestEnd = {
  /** Frames that projections do not show yet, over all shards; `undefined` if unknown. */
  readonly lag: number | undefined
  /** Why it ended before the end of the input. */
  readonly stopped?: string
}

/** The summary: the records read and durable, the rate, and the frames still to project. */
export const ingestSummary = (
  progress: IngestProgress,
  end: IngestEnd,
  paint: Paint = plainPaint,
): string => {
  const { records, bytes, acknowledged, failed, through, elapsedMs } = progress
  const rate = (count: number): number => (count / Math.max(elapsedMs, 1)) * 1_000
  return factList([
    ...(end.stopped === undefined
      ? []
      : [
          [
            'stopped',
            paint('odd', `${end.stopped}; complete up to record ${countText(through)}`),
          ] as const,
        ]),
    ['records', countText(records)],
    ['bytes', `${bytesText(bytes)} (${countText(bytes)})`],
    [
      'time',
      `${durationText(elapsedMs)}, ${countText(rate(acknowledged))} records/s, ${bytesText(rate(bytes))}/s`,
    ],
    ['acknowledged', `${countText(acknowledged)} (durable)`],
    ...(failed === 0 ? [] : [['refused', paint('bad', countText(failed))] as const]),
    [
      'projection',
      end.lag === undefined
        ? 'unknown'
        : end.lag === 0
          ? 'up to date'
          : `${pluralText(end.lag, 'frame')} behind`,
    ],
  ])
}

const progressParts = (progress: IngestProgress, totalBytes: number | undefined): string[] => {
  const { records, bytes, acknowledged, failed, elapsedMs } = progress
  const left = timeLeftMs(progress, totalBytes)
  return [
    pluralText(records, 'record'),
    `${((bytes / Math.max(elapsedMs, 1)) * 1e-3).toFixed(1)} MB/s`,
    `${countText(acknowledged)} acknowledged`,
    ...(left === undefined ? [] : [`${clockText(left)} left`]),
    ...(failed === 0 ? [] : [`${countText(failed)} refused`]),
  ]
}

const shareOf = ({ bytes }: IngestProgress, totalBytes: number | undefined): number | undefined =>
  totalBytes === undefined || totalBytes <= 0 ? undefined : Math.min(1, bytes / totalBytes)

const percent = (share: number): string => `${Math.floor(share * 100)}%`

const bar = (share: number, width: number, paint: Paint): string => {
  const full = Math.floor(share * width)
  return paint('good', '█'.repeat(full)) + paint('faint', '░'.repeat(width - full))
}

/** A refused record in one line. A long part of the record is cut. */
export const failureLine = ({ error }: IngestFailure): string => {
  const [line = ''] = errorText(error).split('\n')
  return line.length <= failureMax ? line : `${line.slice(0, failureMax - 1)}…`
}

const failureMax = 300
