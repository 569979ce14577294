/**
 * A form that sends a signal to a run: its name, and its value as JSON or as a text. It is apart
 * from `flows.tsx`, which only shows, because it acts.
 */
import { useState } from 'preact/hooks'
import { usePage } from '../widgets/asking.ts'
import { Card } from '../widgets/parts.tsx'

/** The value that a text means: JSON, or else the text itself. Pure. */
const signalValue = (text: string): unknown => {
  if (text.trim() === '') return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Sends a signal. `expected`: the one that the run waits for. */
export const SignalForm = (props: {
  readonly type: string
  readonly id: string
  readonly expected: string
}) => {
  const { header, propose } = usePage()
  const [name, setName] = useState(props.expected)
  const [text, setText] = useState('')
  if (!header.isWriting) return null
  const send = (): void =>
    propose(
      {
        act: 'signalRun',
        type: props.type,
        id: props.id,
        name: name.trim(),
        value: signalValue(text),
      },
      'Send signal',
    )
  return (
    <Card title="Send a signal">
      <form
        class="acts"
        onSubmit={(event) => {
          event.preventDefault()
          if (name.trim() !== '') send()
        }}
      >
        <input
          placeholder="its name"
          aria-label="Name of the signal"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <input
          class="grow"
          placeholder="its value: JSON, or a text"
          aria-label="Value of the signal"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" disabled={name.trim() === ''}>
          Send …
        </button>
      </form>
    </Card>
  )
}
