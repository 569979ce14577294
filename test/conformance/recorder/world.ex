defmodule World do
  @moduledoc """
  What the processes of one scenario share: labels, events, definitions. It is in each one's dictionary; labels and ends
  are the business of a collector, which no scenario sees.
  """
  import Json, only: [get: 2, get: 3, has?: 2]

  def enter(w), do: Process.put(:world, w)
  def world, do: Process.get(:world)

  # ---- labels and events

  def label(pid, base), do: ask({:label, pid, to_string(base)})

  defp ask(request) do
    w = world()
    ref = make_ref()
    send(w.collector, {request, self(), ref})
    receive do
      {^ref, answer} -> answer
    end
  end

  def record(event) do
    w = world()
    case :ets.lookup(w.tab, self()) do
      [{_, label}] -> put_event(w.tab, label, event)
      [] -> :ok
    end
  end

  def put_event(tab, label, event) do
    n = :ets.update_counter(tab, :seq, 1, {:seq, 0})
    :ets.insert(tab, {{:event, n}, label, event})
  end

  @doc "Gives labels, records ends, and knows who lives."
  def collect(tab, owner, counts, ends) do
    receive do
      {{:label, pid, base}, from, ref} ->
        {label, counts} =
          case :ets.lookup(tab, pid) do
            [{_, label}] -> {label, counts}
            [] ->
              n = Map.get(counts, base, 0) + 1
              label = if n == 1, do: base, else: "#{base}##{n}"
              :ets.insert(tab, [{pid, label}, {{:label, label}, pid}, {{:latest, base}, pid}])
              Process.monitor(pid)
              if n > 100 do
                :ets.insert(tab, {:invalid, "too many processes"})
                Process.exit(pid, :kill)
              end
              {label, Map.put(counts, base, n)}
          end
        send(from, {ref, label})
        collect(tab, owner, counts, ends)
      {:DOWN, _, _, pid, reason} ->
        [{_, label}] = :ets.lookup(tab, pid)
        put_event(tab, label, ["ended", encode(tab, reason)])
        collect(tab, owner, counts, ends)
      {:sync, from, ref} ->
        send(from, {ref, :ok})
        collect(tab, owner, counts, ends)
      {:pids, from, ref} ->
        send(from, {ref, ends})
        collect(tab, owner, counts, ends)
      {:trace, _, :spawn, child, _} -> collect(tab, owner, counts, MapSet.put(ends, child))
      {:trace, pid, :exit, _} -> collect(tab, owner, counts, MapSet.delete(ends, pid))
      {:trace, _, _, _} -> collect(tab, owner, counts, ends)
      {:trace, _, _, _, _} -> collect(tab, owner, counts, ends)
      :done -> :ok
    end
  end

  # ---- terms: of the format to Elixir, and back

  def term(value, scope \\ %{})
  def term({:obj, [{"$pid", l}]}, _), do: pid_of({:label, l})
  def term({:obj, [{"$latest", l}]}, _), do: pid_of({:latest, l})
  def term({:obj, [{"$self", true}]}, _), do: self()
  def term({:obj, [{"$parent", true}]}, _), do: Process.get(:parent)
  def term({:obj, [{"$state", true}]}, s), do: s[:state]
  def term({:obj, [{"$payload", true}]}, s), do: s[:payload]
  def term({:obj, [{"$from", true}]}, s), do: s[:from]
  def term({:obj, pairs}, s), do: Map.new(pairs, fn {k, v} -> {String.to_atom(k), term(v, s)} end)
  def term(list, s) when is_list(list), do: list |> Enum.map(&term(&1, s)) |> List.to_tuple()
  def term(text, _) when is_binary(text), do: String.to_atom(text)
  def term(other, _), do: other

  defp pid_of(key) do
    case :ets.lookup(world().tab, key) do
      [{_, pid}] -> pid
      [] -> nil
    end
  end

  @doc "A target: a pid, a registered name, or a via tuple. A text is a label."
  def target(value, scope \\ %{})
  def target(text, _) when is_binary(text), do: pid_of({:label, text}) || raise(ArgumentError)
  def target({:obj, [{"$name", n}]}, s), do: local(to_string(term(n, s)))
  def target({:obj, [{"$via", [reg, key]}]}, s), do: {:via, Registry, {local(reg), term(key, s)}}
  def target(value, s) do
    case term(value, s) do
      pid when is_pid(pid) -> pid
      text when is_atom(text) and text != nil -> target(to_string(text), s)
      _ -> raise(ArgumentError)
    end
  end

  def process(value, scope \\ %{}) do
    case target(value, scope) do
      pid when is_pid(pid) -> pid
      other -> GenServer.whereis(other) || raise(ArgumentError)
    end
  end

  def local(name), do: String.to_atom(world().prefix <> to_string(name))

  def name_options(nil), do: []
  def name_options(name) when is_binary(name), do: [name: local(name)]
  def name_options({:obj, [{"$via", [reg, key]}]}), do: [name: {:via, Registry, {local(reg), term(key)}}]

  def encode(value), do: encode(world().tab, value)

  def encode(_, v) when is_nil(v) or is_boolean(v) or is_number(v), do: v
  def encode(_, v) when is_atom(v), do: to_string(v)
  def encode(_, v) when is_reference(v), do: {:obj, [{"$ref", "*"}]}
  def encode(_, v) when is_function(v), do: {:obj, [{"$fun", "*"}]}
  def encode(tab, v) when is_pid(v) do
    case :ets.lookup(tab, v) do
      [{_, label}] -> {:obj, [{"$pid", label}]}
      [] -> {:obj, [{"$pid", "?"}]}
    end
  end
  def encode(tab, {%RuntimeError{message: m}, stack}) when is_list(stack), do: failure(tab, m)
  def encode(tab, %RuntimeError{message: m}), do: failure(tab, m)
  def encode(_, {%{__exception__: true}, stack}) when is_list(stack), do: {:obj, [{"$error", "*"}]}
  def encode(_, %{__exception__: true}), do: {:obj, [{"$error", "*"}]}
  def encode(tab, {{:nocatch, t}, stack}) when is_list(stack), do: ["nocatch", encode(tab, t)]
  def encode(tab, {reason, {m, f, a}}) when m in [GenServer, Task, Task.Supervised, :gen_server, :sys, :proc_lib, DynamicSupervisor, Supervisor, :gen] and (is_atom(f) or is_tuple(f)) and is_list(a),
    do: {:obj, [{"$call", encode(tab, reason)}]}
  def encode(tab, {reason, [{m, f, _, _} | _]} = v) when is_atom(m) and is_atom(f) do
    if is_atom(reason) or (is_tuple(reason) and is_atom(elem(reason, 0))),
      do: {:obj, [{"$error", "*"}]}, else: tuple(tab, v)
  end
  def encode(_, {:child, _, id, _, _, _, _, _, _}), do: {:obj, [{"$child", to_string(id)}]}
  def encode(tab, v) when is_tuple(v), do: tuple(tab, v)
  def encode(tab, v) when is_list(v), do: Enum.map(v, &encode(tab, &1))
  def encode(_, v) when is_binary(v), do: v
  def encode(tab, v) when is_map(v), do: {:obj, Enum.map(v, fn {k, x} -> {to_string(k), encode(tab, x)} end)}

  defp tuple(tab, v), do: v |> Tuple.to_list() |> Enum.map(&encode(tab, &1))

  # Only what the scenario itself raises has a message of its own.
  defp failure(tab, message) do
    known = :ets.member(tab, {:raised, message})
    {:obj, [{"$error", if(known, do: message, else: "*")}]}
  end

  def subject({name, _node}) when is_atom(name),
    do: {:obj, [{"$name", String.replace_prefix(to_string(name), world().prefix, "")}]}
  def subject(pid), do: encode(pid)

  @doc "The bare reason of a call that failed."
  def bare({reason, {m, f, a}}) when is_atom(m) and (is_atom(f) or is_tuple(f)) and is_list(a), do: reason
  def bare(reason), do: reason

  @doc "A message as the format has it."
  def message({:EXIT, pid, reason}), do: {:exit, pid, reason}
  def message({:DOWN, ref, :process, object, reason}), do: {:down, tag(ref), object, reason}
  def message({:timeout, ref, {tag, payload}}) when is_reference(ref), do: {:timer, tag, payload}
  def message({ref, value}) when is_reference(ref), do: {:value, value}
  def message({name, payload}) when is_atom(name), do: {:info, to_string(name), payload}
  def message(other), do: {:unknown, other}

  def tag(ref), do: Process.get({:tag, ref}, "?")

  def event({:exit, pid, reason}), do: ["exit", encode(pid), encode(reason)]
  def event({:down, tag, object, reason}), do: ["down", tag, subject(object), encode(reason)]
  def event({:timer, tag, payload}), do: ["timer", tag, encode(payload)]
  def event({:value, value}), do: ["info", {:obj, [{"$ref", "*"}]}, encode(value)]
  def event({:info, name, payload}), do: ["info", name, encode(payload)]
  def event({:unknown, other}) do
    :ets.insert(world().tab, {:invalid, "unknown message"})
    ["unknown", inspect(other)]
  end

  def ms(n) when is_integer(n), do: n * world().scale
  def ms(n), do: n

  def wait(options, default \\ 5000)
  def wait(nil, default), do: ms(default)
  def wait(options, default), do: ms(get(options, "timeout", default))

  def options(nil), do: {:obj, []}
  def options({:obj, _} = o), do: o
  def options(_), do: {:obj, []}

  def opt(o, k), do: get(options(o), k)
  def opt(o, k, d), do: get(options(o), k, d)
  def has_key?(o, k), do: has?(o, k)

  @doc "A little disorder, when asked for. It sleeps on a real BEAM, which has no virtual clock."
  def chaos do
    w = world()
    if w.chaos and :rand.uniform(2) == 1 do
      case :rand.uniform(6) do
        1 -> :erlang.yield()
        2 -> for(_ <- 1..:rand.uniform(20), do: :erlang.yield())
        3 -> Process.flag(:priority, Enum.random([:low, :normal, :high]))
        4 -> busy(:rand.uniform(300))
        _ -> Process.sleep(:rand.uniform(3))
      end
    end
  end

  defp busy(us) do
    until = System.monotonic_time(:microsecond) + us
    wait_until(until)
  end
  defp wait_until(until), do: if(System.monotonic_time(:microsecond) < until, do: wait_until(until))
end
