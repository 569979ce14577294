/**
 * `attach`: lets prompts attach to a running instance, with a flight recorder for them. It listens
 * on the socket of the data folder and starts a process for each connection. An instance whose socket cannot be made goes on without
 * it, and its log says why. A prompt that fails takes neither this process nor others with it.
 */
import { instanceName } from '../../actors/index.ts'
import { reasonText } from '../../errors.ts'
import {
  type ChildSpec,
  call,
  type GenServer,
  type Name,
  noReply,
  reply,
  type Settled,
  send,
  worker,
} from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { answerPages } from '../observe/observer.ts'
import { recordsOf } from '../recorder/recorder.ts'
import { listenIn, type Socket } from './attach-socket.ts'
import { type Attachment, server as promptServer } from './attached-prompt.ts'

/** The messages of `attach`. Only it sends the infos. */
export type Messages = {
  /** Answered when it listens, or has failed to. */
  calls: { begun: () => void }
  casts: Record<never, never>
  infos: {
    begun: (app: Settled<App>) => void
    connected: (connection: Omit<Attachment, 'label'>) => void
  }
}

type State = { readonly attached: number; readonly member: string | undefined }

/** The instance, and the member of it that shares the folder with others. */
type Options = { readonly app: Promise<App>; readonly member: string | undefined }

/** Listens from the moment when the instance has started. */
const server: GenServer<Messages, State, Options> = {
  init: ({ app, member }, context) => {
    // The end of a prompt is no failure of this process.
    context.trapExit(true)
    recordsOf(context.system)
    context.pipe(app, 'begun')
    return { attached: 0, member }
  },

  accepts: {
    calls: { begun: () => true },
    casts: {},
    infos: { begun: () => true, connected: () => true },
  },

  // Its turn is after the info of that name.
  calls: { begun: (state) => reply(undefined, state) },
  casts: {},

  infos: {
    begun: async (state, begun, context) => {
      if (!begun.ok) return noReply(state)
      const app = begun.value
      answerPages(app)
      const connected = (socket: Socket): void => {
        if (!send(context.self, 'connected', { app, socket })) socket.destroy()
      }
      const place = { dir: app.dir, member: state.member }
      await listenIn(place, context.signal, connected).catch((reason: unknown) =>
        context.system.logger.warn(`no prompt can be attached: ${reasonText(reason)}`, { reason }),
      )
      return noReply(state)
    },
    connected: async (state, connection, context) => {
      const attached = state.attached + 1
      const label = `prompt(${attached})`
      await context.startLinkResult(promptServer, { ...connection, label }, { label })
      return noReply({ ...state, attached })
    },
  },

  exit: (state) => noReply(state),
}

const name = (instance: string): Name<Messages> => instanceName<Messages>('attach', instance)

/** Resolves when prompts can attach to the instance, or its log says why not. Never rejects. */
export const attachable = ({ system, instance }: App): Promise<void> =>
  call(system.to(name(instance)), 'begun').catch(() => undefined)

/**
 * The part of an instance's tree that serves attached prompts. `member`: its name among the members
 * that share the folder.
 */
export const childSpec = (
  instance: string,
  app: Promise<App>,
  member: string | undefined,
): ChildSpec => worker('attach', server, { app, member }, { name: name(instance) })
