/** Actions: their effect is shown before, and the reason goes to the log of the instance. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Plan, Proposed } from '../protocol.ts'
import { usePage } from './asking.ts'
import { act, plan } from './connection.ts'

/** A button that proposes an action; nothing in an instance that is only read. */
export const Act = (props: {
  readonly of: Proposed
  readonly title: string
  readonly isDangerous?: boolean
}) => {
  const { header, propose } = usePage()
  if (!header.isWriting) return null
  return (
    <button
      type="button"
      class={props.isDangerous ? 'danger' : ''}
      onClick={() => propose(props.of, props.title)}
    >
      {props.title}
    </button>
  )
}

type Stage =
  | { readonly is: 'planning' }
  | { readonly is: 'planned'; readonly plan: Plan }
  | { readonly is: 'acting'; readonly plan: Plan }
  | { readonly is: 'over'; readonly text: string; readonly isRefused: boolean }

/** The dialog that shows the effect of an action and asks. To delete, the id is typed. */
export const ActionDialog = (props: {
  readonly action: Proposed
  readonly title: string
  readonly onEnd: () => void
}) => {
  const { action, title, onEnd } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const [stage, setStage] = useState<Stage>({ is: 'planning' })
  const [reason, setReason] = useState('')
  const [typed, setTyped] = useState('')
  const refused = (error: Error): void =>
    setStage({ is: 'over', text: error.message, isRefused: true })
  useEffect(() => {
    dialog.current?.showModal()
    plan(action).then((made) => setStage({ is: 'planned', plan: made }), refused)
  }, [])
  const perform = async (planned: Plan): Promise<void> => {
    setStage({ is: 'acting', plan: planned })
    try {
      const { text } = await act({ ...action, reason }, planned.nonce)
      setStage({ is: 'over', text, isRefused: false })
    } catch (error) {
      refused(error as Error)
    }
  }
  const toType = action.act === 'delete' ? action.id : undefined
  const isReady =
    stage.is === 'planned' && reason.trim() !== '' && (toType === undefined || typed === toType)
  return (
    <dialog ref={dialog} onClose={onEnd}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (isReady) void perform(stage.plan)
        }}
      >
        <h1>{title}</h1>
        {stage.is === 'planning' && <p class="muted">The effect is being found out …</p>}
        {'plan' in stage && (
          <>
            <p>This {stage.plan.effect}.</p>
            <label>
              Why? Your name and the reason go to the log.
              <input value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
            </label>
            {toType !== undefined && (
              <label>
                Type <code>{toType}</code> to delete it.
                <input value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
              </label>
            )}
          </>
        )}
        {stage.is === 'over' && <p class={stage.isRefused ? 'bad' : ''}>{stage.text}</p>}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            {stage.is === 'over' ? 'Close' : 'Leave it'}
          </button>
          {stage.is !== 'over' && (
            <button type="submit" class="primary" disabled={!isReady}>
              {title}
            </button>
          )}
        </div>
      </form>
    </dialog>
  )
}
