(* SPDX-License-Identifier: LGPL-2.1-or-later *)
(* See record-squeezed. Xen, the log, and the thread that balances are stood in for. *)

module Debug = struct
  module Make (_ : sig
    val name : string
  end) =
  struct
    let debug format = Printf.ikfprintf ignore () format

    let error format = Printf.ikfprintf ignore () format
  end
end;;

#mod_use "squeeze.ml"

type guest = {
    driver: bool
  ; least: int
  ; most: int
  ; memory: int
  ; inexact: int  (** how far from its target its balloon stops *)
  ; speed: int  (** KiB a second *)
  ; mutable stuck: bool
  ; mutable here: bool
  ; mutable size: int
  ; mutable target: int
}

let mib n = n * 1024

let pick choices = List.nth choices (Random.int (List.length choices))

let between low high = low + Random.int (high - low + 1)

let chance percent = Random.int 100 < percent

let new_guest () =
  let memory = mib (pick [512; 1024; 2048; 3000; 16384]) + pick [0; 0; 3] in
  let most = pick [memory; memory; memory * 3 / 4] in
  let least = pick [mib 128; most / 3; most / 2; most; between 0 most] in
  let size = pick [most; least; between least most] in
  {
    driver= chance 90
  ; least
  ; most
  ; memory
  ; inexact= pick [0; 0; 0; 3; 4; 5; 700]
  ; speed= mib (pick [20; 100; 1000; 100000])
  ; stuck= chance 15
  ; here= chance 90
  ; size
  ; target= size
  }

exception Over

let now = ref 0

let left = ref 0

let free = ref 0

let guests = ref []

let before = ref []

(* What the original is told of this moment. *)
let begin_moment () =
  before := List.map (fun g -> (g.here, g.size, g.target)) !guests

(* What it has set by now. *)
let end_moment () =
  Printf.printf "at %d %d 0 %d\n" (1000 * !now)
    (List.fold_left (fun sum (here, size, _) -> if here then sum + size else sum) !free !before)
    !free ;
  List.iter2
    (fun g (here, size, target) ->
      Printf.printf "%d %d 0 - - - %d %d\n" (Bool.to_int here) size target g.target
    )
    !guests !before

let move seconds g =
  let away = g.target - g.size in
  let room = max 0 (abs away - g.inexact) in
  let way = min room (g.speed * seconds) in
  let way = if away > 0 then min way !free else way in
  let way = if away > 0 then way else -way in
  if g.here && g.driver && not g.stuck then (
    g.size <- g.size + way ;
    free := !free - way
  ) ;
  if chance 8 then g.stuck <- not g.stuck

let live seconds =
  decr left ;
  if !left < 0 then raise Over ;
  now := !now + seconds ;
  List.iter (move seconds) !guests

let come_and_go () =
  List.iter
    (fun g ->
      if chance 5 then
        if g.here then (
          g.here <- false ;
          free := !free + g.size
        ) else if g.size <= !free then (
          g.here <- true ;
          g.target <- g.size ;
          free := !free - g.size
        )
    )
    !guests ;
  if chance 20 then free := max 0 (!free + mib (between (-300) 300))

let host () =
  let domains =
    List.mapi (fun i g -> (i, g)) !guests
    |> List.filter (fun (_, g) -> g.here)
    |> List.map (fun (i, g) ->
           let k = Int64.of_int in
           Squeeze.domain_make i g.driver (k g.least) (k g.target) (k g.most) (k g.size) (k g.memory) 4L
       )
  in
  Squeeze.make_host ~domains:(Squeeze.DomainSet.of_list domains) ~free_mem_kib:(Int64.of_int !free)

let set domid kib =
  let g = List.nth !guests domid in
  if g.driver then g.target <- Int64.to_int kib

let io =
  {
    Squeeze.verbose= false
  ; make_host= (fun () -> ("", host ()))
  ; domain_setmaxmem= set
  ; execute_action= (fun a -> set a.Squeeze.action_domid a.Squeeze.new_target_kib)
  ; wait=
      (fun seconds ->
        end_moment () ;
        live (int_of_float seconds) ;
        if chance 10 then come_and_go () ;
        begin_moment ()
      )
  ; gettimeofday= (fun () -> float_of_int !now)
  ; target_host_free_mem_kib= Int64.of_int (mib 72)
  ; free_memory_tolerance_kib= 512L
  }

let run () =
  now := 0 ;
  left := between 5 20 ;
  guests := List.init (between 1 4) (fun _ -> new_guest ()) ;
  free := pick [0; mib 72; mib 72 + 500; mib 72 + 513; mib (between 0 2000); mib (between 0 8000)] ;
  print_endline "start" ;
  List.iter
    (fun g -> Printf.printf "guest %d %d %d %d 1000\n" (Bool.to_int g.driver) g.least g.most g.memory)
    !guests ;
  begin_moment () ;
  end_moment () ;
  try
    while true do
      live 10 ;
      come_and_go () ;
      begin_moment () ;
      if Squeeze.is_host_memory_unbalanced io then Squeeze.balance_memory io ;
      (* What ends a run ends balance_memory too, which says nothing of it. *)
      if !left < 0 then raise Over ;
      end_moment ()
    done
  with Over -> ()

let () =
  let seed = int_of_string Sys.argv.(1) in
  Random.init seed ;
  Printf.printf "# squeezed's rules, recorded from the original with seed %d by record-squeezed.\n" seed ;
  for _ = 1 to 60 do
    run ()
  done
