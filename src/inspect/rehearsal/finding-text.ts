/** Findings as lines for people. Pure. */
import type { Finding } from '../../flow/index.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'

/** A finding with its examples and its remedy. */
export const findingText = ({ level, what, kind, count, examples, fix }: Finding): string =>
  [
    `${level}  ${printable(kind)}: ${printable(what)}  (${countText(count)})`,
    ...examples.map(({ id, reason }) => `  ${printable(id)}: ${printable(reason)}`),
    ...(count > examples.length ? [`  and ${countText(count - examples.length)} more`] : []),
    `  help: ${fix}`,
  ].join('\n')
