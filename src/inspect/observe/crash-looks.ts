/**
 * Crashes as `keelson mcp` and the overview of the page ask for them. They are apart from `looks.ts` because a frame has room for
 * part of what `member-looks.ts` answers.
 */
import type { Crashes, Recorded } from '../../observe/index.ts'
import { type App, innerParts } from '../../supervisors/index.ts'
import { crashesAbout, crashesAnywhere } from '../answers/member-looks.ts'
import { namedEntity } from '../answers/process-finder.ts'
import { shortText } from '../text/shown-text.ts'
import { given, optionalText, type Query } from './questions.ts'
import { lastFitting } from './value-trees.ts'

const textMax = 8_000
const lineMax = 400
/** A frame has 64 KiB. */
const bytesMax = 48 * 1024

/** The crashes at other members as events of the page, the newest last. */
export const crashesElsewhere = async (app: App): Promise<readonly Recorded[]> => {
  const own = app[innerParts].way?.member
  const { crashes } = await crashesAnywhere(app)
  return crashes
    .filter(({ member }) => member !== own)
    .map(({ member, lastAt, subject, count, reason, lastMessage, text }) => {
      const entity = namedEntity(app, subject)
      return {
        at: lastAt,
        sort: 'crash',
        kind: '',
        code: '',
        subject: shortText(`${member}: ${subject}`, lineMax),
        reason: shortText(reason, lineMax),
        lastMessage: shortText(lastMessage, lineMax),
        text,
        ...given<Pick<Recorded, 'times' | 'link'>>({
          times: count > 1 ? count : undefined,
          link: entity && { view: 'entity', parts: [entity.kind, entity.id] },
        }),
      }
    })
}

/** All crashes as a list, or the reports of one process. @throws KeelsonError `INVALID_ARGUMENT` */
export const crashesShown = async (app: App, query: Query): Promise<Crashes> => {
  const process = optionalText(query, 'process')
  if (process === undefined) {
    const { total, crashes, silent } = await crashesAnywhere(app)
    const rows = crashes.map(
      ({ pid, member, reason, lastMessage, subject, text: _, ...others }) => ({
        ...others,
        subject: shortText(subject, lineMax),
        reason: shortText(reason, lineMax),
        lastMessage: shortText(lastMessage, lineMax),
        ...given({ pid, member }),
      }),
    )
    return { total, rows: lastFitting(rows, bytesMax), silent }
  }
  const { crashes, lines, silent } = await crashesAbout(app, process)
  const short = (texts: readonly string[]): readonly string[] =>
    lastFitting(
      texts.map((text) => shortText(text, textMax)),
      bytesMax,
    )
  return { reports: short(crashes), ...(lines.length > 0 && { lines: short(lines) }), silent }
}
