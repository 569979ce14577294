/** The parts of a list's head that narrow it: a choice of one among few, and texts to find. */
import { useEffect, useState } from 'preact/hooks'
import { after } from './browser.ts'

/** A choice among options, each with its value and its title. */
export const Choice = (props: {
  readonly label: string
  readonly value: string
  readonly options: readonly (readonly [value: string, title: string])[]
  readonly onChoose: (value: string) => void
}) => (
  <select
    aria-label={props.label}
    value={props.value}
    onChange={(event) => props.onChoose(event.currentTarget.value)}
  >
    {props.options.map(([value, title]) => (
      <option key={value} value={value}>
        {title}
      </option>
    ))}
  </select>
)

/** A field whose text counts when its user presses Enter. */
export const EnteredText = (props: {
  readonly label: string
  readonly placeholder: string
  readonly text: string
  readonly onEnter: (text: string) => void
}) => {
  const [text, setText] = useState(props.text)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        props.onEnter(text.trim())
      }}
    >
      <input
        placeholder={props.placeholder}
        aria-label={props.label}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </form>
  )
}

/** The pause of a user after which a text is looked for, in ms: each letter would open a stream. */
const pauseMs = 250

/** A field for the text `find`. `onFind` gets another text once its user pauses. */
export const SearchField = (props: {
  readonly find: string
  readonly placeholder: string
  readonly onFind: (text: string) => void
}) => {
  const { find, placeholder, onFind } = props
  const [typed, setTyped] = useState(find)
  useEffect(() => (typed === find ? undefined : after(pauseMs, () => onFind(typed))), [typed])
  return (
    <input
      type="search"
      placeholder={placeholder}
      aria-label="Find"
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
    />
  )
}
