/** Events of the recorder as the page of `keelson observe` shows them, each with a link to its subject. */
import type { Link, Recorded as ShownRecorded } from '../../observe/index.ts'
import { name, summaryOf } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { flowNamesOf } from '../answers/flow-parts.ts'
import { namedEntity } from '../answers/process-finder.ts'
import { processAt } from '../answers/process-pages.ts'
import type { Folded } from '../recorder/folded-events.ts'
import { shortText } from '../text/shown-text.ts'
import { given } from './questions.ts'

const eventTextMax = 2_000
const lineMax = 300

/** A line of the log begins with its time and level, which are parts of its event too. */
const lineHead = /^\S+ \w+ +/

/** An event, shortened. */
export const shownEvent = (app: App, event: Folded): ShownRecorded => {
  const { pid, text, ...others } = event
  return {
    ...others,
    ...given<Pick<ShownRecorded, 'pid' | 'link'>>({ pid, link: linkOf(app, event) }),
    text: shortText(others.sort === 'log' ? text.replace(lineHead, '') : text, eventTextMax),
  }
}

/** The same in a list: its stack is with its process. */
export const shownLine = (app: App, event: Folded): ShownRecorded => {
  const shown = shownEvent(app, event)
  return { ...shown, text: shown.text.slice(0, lineMax) }
}

/** The view of a subject. For a process that ended it is the next one of its name, or the tree. */
const linkOf = (app: App, { sort, subject, pid }: Folded): Link | undefined => {
  if (sort === 'shard_down' || sort === 'subscription_stopped')
    return { view: 'storage', parts: [] }
  const entity = namedEntity(app, subject)
  if (entity) return { view: 'entity', parts: [entity.kind, entity.id] }
  const [type = '', ...id] = subject.split('/')
  if (id.length > 0 && flowNamesOf(app, 'workflow').includes(type))
    return { view: 'run', parts: [type, id.join('/')] }
  const process =
    (pid === undefined ? undefined : processAt(app.system, pid)) ??
    (subject === '' ? undefined : summaryOf(app.system.to(name(subject))))
  if (process) return { view: 'process', parts: [String(process.pid)] }
  return pid === undefined ? undefined : { view: 'tree', parts: [] }
}
