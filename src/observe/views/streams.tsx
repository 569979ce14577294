/** The streams of a durable actor or a run, each with its last messages. Entities and runs have them. */
import type { StreamShown } from '../entity-answers.ts'
import { usePage } from '../widgets/asking.ts'
import { Badge, Card } from '../widgets/parts.tsx'
import { countText, timeText } from '../widgets/quantities.ts'

/** A card of each stream. Every frame has the last messages, so they come as they are appended. */
export const StreamCards = ({ of }: { of: readonly StreamShown[] | undefined }) => {
  const { header } = usePage()
  return (
    <>
      {of?.map(({ name, messages, isClosed, writtenMs, tail }) => (
        <Card key={name} title={name} isName>
          <p class="muted">
            {`Stream with ${countText(messages)} messages, the last at ${timeText(writtenMs, header.at)} `}
            {isClosed && <Badge>closed</Badge>}
          </p>
          {tail.length > 0 && <pre class="text">{tail.join('\n')}</pre>}
        </Card>
      ))}
    </>
  )
}
