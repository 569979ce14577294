defmodule Actions do
  @moduledoc "The actions of callbacks, bodies and tasks. A frame goes through them; what fails cuts the rest off."
  import World
  import Json, only: [get: 2]

  def run(actions, frame) do
    World.chaos()
    done = Enum.reduce(actions || [], frame, fn [op | args], f ->
      World.chaos()
      act(op, args, f)
    end)
    World.chaos()
    done
  end

  defp act("log", [t], f), do: note(f, ["log", encode(term(t, f))])
  defp act("value", [t], f), do: Map.put(f, :value, term(t, f))
  defp act("set", [t], f), do: %{f | state: term(t, f)}
  defp act("add", [t], f), do: %{f | state: f.state + term(t, f)}
  defp act("reply", [t], f), do: Map.put(f, :reply, {:reply, term(t, f)})
  defp act("save_from", [slot], f) do
    if f[:call], do: Process.put({:slot, term(slot, f)}, f.call)
    f
  end
  defp act("reply_to", [slot, t], f) do
    from = Process.get({:slot, term(slot, f)})
    if from, do: GenServer.reply(from, term(t, f))
    f
  end
  defp act("return", [o], f), do: Map.put(f, :next, o)
  defp act("stop", [r], f), do: Map.put(f, :stop, {:stop, term(r, f)})
  defp act("ignore", [], f), do: Map.put(f, :ignore, true)
  defp act("bad_return", [t], f), do: Map.put(f, :bad, {:bad, term(t, f)})
  defp act("raise", [m], _), do: raise(m)
  defp act("exit", [r], f), do: exit(term(r, f))
  defp act("send", [t, name, p], f), do: (deliver(target(t, f), {String.to_atom(name), term(p, f)}); f)
  defp act("cast", [t, name, p], f), do: (GenServer.cast(target(t, f), {String.to_atom(name), term(p, f)}); f)
  defp act("call", [t, name, p | o], f) do
    o = options(List.first(o))
    calling = fn -> GenServer.call(target(t, f), {String.to_atom(name), term(p, f)}, wait(o)) end
    caught(o, f, calling, &["called", name, &1], &["call_failed", name, &1])
  end
  # A process of a scenario that sleeps. The BEAM has no virtual clock.
  defp act("sleep", [n], f), do: (Process.sleep(ms(term(n, f))); f)
  defp act("trap_exit", [b], f), do: (Process.flag(:trap_exit, b); f)
  defp act("link", [t], f), do: (Process.link(process(t, f)); f)
  defp act("unlink", [t], f), do: (Process.unlink(process(t, f)); f)
  defp act("exit_signal", [t, r], f), do: (Process.exit(process(t, f), term(r, f)); f)
  defp act("monitor", [t, tag], f), do: (monitor(target(t, f), tag); f)
  defp act("demonitor", [tag | o], f) do
    {info, found} = demonitor(tag, List.first(o))
    if info, do: note(f, ["demonitored", tag, found]), else: f
  end
  defp act("send_after", [n, t, name, p, tag], f) do
    Process.put({:timer, tag}, Process.send_after(timed(t, f), {String.to_atom(name), term(p, f)}, ms(term(n, f))))
    f
  end
  defp act("start_timer", [n, t, p, tag], f) do
    Process.put({:timer, tag}, :erlang.start_timer(ms(term(n, f)), timed(t, f), {tag, term(p, f)}))
    f
  end
  defp act("cancel_timer", [tag], f), do: note(f, ["cancelled", tag, cancel_timer(tag)])
  defp act("read_timer", [tag], f), do: note(f, ["timer_left", tag, read_timer(tag)])
  defp act("register", [name], f), do: note(f, ["registered", name, attempt(fn -> Process.register(self(), local(name)) end)])
  defp act("unregister", [name], f), do: note(f, ["unregistered", name, attempt(fn -> Process.unregister(local(name)) end)])
  defp act("whereis", [name], f), do: note(f, ["whereis", name, encode(Process.whereis(local(name)))])
  defp act("start", [base, proc | o], f) do
    o = options(List.first(o))
    result =
      try do
        Starts.start(base, proc, term(get(o, "arg"), f), get(o, "link") != false, :infinity) |> Starts.result()
      catch
        :exit, r -> if get(o, "catch") == true, do: ["exit", encode(bare(r))], else: exit(r)
      end
    note(f, ["started", base, result])
  end
  defp act("reg", [op | args], f), do: note(f, ["reg", op, registry(op, args, f)])
  defp act("task", [tag, body | o], f) do
    o = options(List.first(o))
    w = world()
    parent = self()
    fun = fn ->
      enter(w)
      Process.put(:parent, parent)
      label(self(), tag)
      run(body, Map.take(f, [:state, :payload, :from]))[:value]
    end
    task =
      case {get(o, "supervisor"), get(o, "nolink")} do
        {nil, _} -> Task.async(fun)
        {s, true} -> Task.Supervisor.async_nolink(crew(s, f), fun)
        {s, _} -> Task.Supervisor.async(crew(s, f), fun)
      end
    label(task.pid, tag)
    Process.put({:task, tag}, task)
    Process.put({:tag, task.ref}, tag)
    f
  end
  defp act("await", [tag | o], f) do
    o = options(List.first(o))
    caught(o, f, fn -> Task.await(Process.get({:task, tag}), wait(o)) end, &["awaited", tag, &1], &["await_failed", tag, &1])
  end
  defp act("yield", [tag | o], f),
    do: note(f, ["yielded", tag, encode(Task.yield(Process.get({:task, tag}), wait(options(List.first(o)))))])
  defp act("task_shutdown", [tag | o], f) do
    how = case opt(List.first(o), "how") do
      "brutal_kill" -> :brutal_kill
      n when is_integer(n) -> ms(n)
      nil -> ms(5000)
    end
    note(f, ["shut_down", tag, encode(Task.shutdown(Process.get({:task, tag}), how))])
  end
  defp act("async_stream", [inputs, body | o], f) do
    o = options(List.first(o))
    w = world()
    parent = self()
    scope = Map.take(f, [:state, :from])
    fun = fn input ->
      enter(w)
      Process.put(:parent, parent)
      run(body, Map.put(scope, :payload, input))[:value]
    end
    inputs = inputs |> term(f) |> Tuple.to_list()
    options =
      [timeout: wait(o), ordered: get(o, "ordered") != false,
       on_timeout: if(get(o, "on_timeout") == "kill_task", do: :kill_task, else: :exit)] ++
        if(n = get(o, "max_concurrency"), do: [max_concurrency: n], else: [])
    stream =
      case {get(o, "supervisor"), get(o, "nolink")} do
        {nil, _} -> Task.async_stream(inputs, fun, options)
        {s, true} -> Task.Supervisor.async_stream_nolink(crew(s, f), inputs, fun, options)
        {s, _} -> Task.Supervisor.async_stream(crew(s, f), inputs, fun, options)
      end
    note(f, ["streamed", encode(Enum.to_list(stream))])
  end
  defp act("receive", [n], f) do
    n = ms(term(n, f))
    receive do
      m -> note(f, ["received", received(World.message(m))])
    after
      n -> note(f, ["received", "timeout"])
    end
  end

  defp received({:info, name, payload}), do: [name, encode(payload)]
  defp received({:value, value}), do: [{:obj, [{"$ref", "*"}]}, encode(value)]
  defp received(m), do: event(m)

  defp note(f, event), do: (record(event); f)

  defp caught(o, f, ask, good, bad) do
    outcome =
      try do
        {:ok, ask.()}
      catch
        :exit, r -> if get(o, "catch") == true, do: {:failed, bare(r)}, else: exit(r)
      end
    case outcome do
      {:ok, v} -> note(f, good.(encode(v)))
      {:failed, r} -> note(f, bad.(encode(r)))
    end
  end

  def crew(text, _) when is_binary(text), do: local(text)
  def crew(t, f), do: target(t, f)

  # ---- what the driver does alike

  def deliver({:via, Registry, {reg, key}}, message), do: Registry.send({reg, key}, message)
  def deliver(target, message), do: send(target, message)

  def timed(t, f) do
    case target(t, f) do
      {:via, _, _} -> process(t, f)
      other -> other
    end
  end

  def monitor(target, tag) do
    target = if match?({:via, _, _}, target), do: GenServer.whereis(target) || raise(ArgumentError), else: target
    ref = Process.monitor(target)
    Process.put({:monitor, tag}, ref)
    Process.put({:tag, ref}, tag)
  end

  def demonitor(tag, o) do
    flags = for k <- [:flush, :info], opt(o, to_string(k)) == true, do: k
    found = case Process.get({:monitor, tag}) do
      nil -> false
      ref -> Process.demonitor(ref, flags)
    end
    {:info in flags, found}
  end

  def cancel_timer(tag), do: left(Process.get({:timer, tag}), &Process.cancel_timer/1)
  def read_timer(tag), do: left(Process.get({:timer, tag}), &Process.read_timer/1)
  defp left(nil, _), do: false
  defp left(ref, ask) do
    case ask.(ref) do
      false -> false
      n -> round(n / world().scale / 100) * 100
    end
  end

  defp attempt(fun) do
    fun.()
    true
  rescue
    _ -> {:obj, [{"$error", "*"}]}
  end

  def registry(op, [reg | args], f) do
    reg = local(reg)
    v = fn i -> term(Enum.at(args, i), f) end
    case op do
      "register" -> case Registry.register(reg, v.(0), v.(1)) do
        {:ok, _} -> "ok"
        {:error, r} -> ["error", encode(r)]
      end
      "unregister" -> encode(Registry.unregister(reg, v.(0)))
      "lookup" -> Registry.lookup(reg, v.(0)) |> Enum.sort_by(&name(elem(&1, 0))) |> encode()
      "keys" -> Registry.keys(reg, process(hd(args), f)) |> Enum.map(&encode/1) |> Enum.sort_by(&text/1)
      "values" -> encode(Registry.values(reg, v.(0), process(Enum.at(args, 1), f)))
      "count" -> Registry.count(reg)
      "update_value" -> encode(Registry.update_value(reg, v.(0), &(&1 + v.(1))))
      "dispatch" ->
        m = {String.to_atom(Enum.at(args, 1)), v.(2)}
        encode(Registry.dispatch(reg, v.(0), fn es -> for {pid, _} <- es, do: send(pid, m) end))
      "count_match" -> Registry.count_match(reg, v.(0), v.(1))
      "select" ->
        Registry.select(reg, [{{:"$1", :"$2", :"$3"}, [], [{{:"$1", :"$2", :"$3"}}]}])
        |> Enum.sort_by(fn {k, pid, _} -> {text(encode(k)), name(pid)} end)
        |> encode()
    end
  end

  defp name(pid), do: text(encode(pid))
  def text(encoded), do: IO.iodata_to_binary(Json.encode(encoded))
end
