(** The numbers of T-Fixup: Eqs. 6–8 at the paper's scales, for every N > 0.

    The scales enter as what they are: u the positive number with u⁴ = 1/(9N). *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

(** Left sides of Eqs. 6, 7 and 8 in the numbers of blocks and the norms. *)
Definition eq6 (blocks v w x : R) : R := blocks * (v ^ 2 * x ^ 2 + w ^ 2 * x ^ 2 + v ^ 2 * w ^ 2).
Definition eq7 (blocks v w y m : R) : R :=
  blocks * (v ^ 2 * w ^ 2 + v ^ 2 * y ^ 2 + w ^ 2 * y ^ 2
            + (v ^ 2 * w ^ 2 + v ^ 2 * m ^ 2 + w ^ 2 * m ^ 2)).
Definition eq8 (blocks v w : R) : R := blocks * (v ^ 2 * w ^ 2).

(** 1/(9N) to the power 1/4. *)
Definition decoder_scale (N : R) : R := sqrt (sqrt (/ (9 * N))).

(** (√22 − 2)/6, and the encoder's constant c with c² equal to it. *)
Definition encoder_root : R := (sqrt 22 - 2) / 6.
Definition encoder_constant : R := sqrt encoder_root.
Definition encoder_scale (N : R) : R := encoder_constant * sqrt (sqrt (/ N)).

Lemma sqrt22 : 0 < sqrt 22 /\ sqrt 22 * sqrt 22 = 22.
Proof. split; [apply sqrt_lt_R0; lra | apply sqrt_sqrt; lra]. Qed.

Lemma fourth_root : forall a, 0 < a ->
  0 < sqrt (sqrt a) /\ (sqrt (sqrt a) * sqrt (sqrt a)) * (sqrt (sqrt a) * sqrt (sqrt a)) = a.
Proof.
  intros a Ha. assert (0 < sqrt a) by now apply sqrt_lt_R0.
  split; [now apply sqrt_lt_R0|]. rewrite !sqrt_sqrt by lra. reflexivity.
Qed.

(** *** Decoder *)

Theorem decoder_scale_power : forall N, 0 < N ->
  0 < decoder_scale N /\ 9 * N * decoder_scale N ^ 4 = 1.
Proof.
  intros N HN. assert (0 < / (9 * N)) by (apply Rinv_0_lt_compat; lra).
  destruct (fourth_root _ H) as [Hp He]. split; [exact Hp|].
  unfold decoder_scale. set (u := sqrt (sqrt (/ (9 * N)))) in *. clearbody u.
  replace (u ^ 4) with ((u * u) * (u * u)) by ring. rewrite He. field. lra.
Qed.

(** Eq. 7 is 2, its halves 1 and 1 over the blocks that exist, Eq. 8 is 1/3. *)
Theorem decoder_values : forall N, 0 < N ->
  let u := decoder_scale N in
  eq7 (3 * N) u u u u = 2
  /\ 3 * N * (u ^ 2 * u ^ 2 + u ^ 2 * u ^ 2 + u ^ 2 * u ^ 2) = 1
  /\ eq8 (3 * N) u u = 1 / 3.
Proof.
  intros N HN u. destruct (decoder_scale_power N HN) as [_ H]. fold u in H. clearbody u.
  unfold eq7, eq8. repeat split; ring_simplify; simpl in *; lra.
Qed.

Theorem decoder_scale_unique : forall N u, 0 < N -> 0 < u -> 9 * N * u ^ 4 = 1 ->
  u = decoder_scale N.
Proof.
  intros N u HN Hu H. destruct (decoder_scale_power N HN) as [Hp He].
  set (t := decoder_scale N) in *. clearbody t.
  assert (E : u ^ 4 = t ^ 4) by (apply Rmult_eq_reg_l with (9 * N); lra).
  assert (F : (u - t) * ((u + t) * (u ^ 2 + t ^ 2)) = 0) by (ring_simplify; lra).
  apply Rmult_integral in F. destruct F as [F|F]; [lra|].
  assert (0 < u ^ 2) by (apply pow_lt; lra). assert (0 < t ^ 2) by (apply pow_lt; lra).
  assert (0 < (u + t) * (u ^ 2 + t ^ 2)) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

(** *** Encoder *)

Theorem encoder_root_only : forall t, 0 < t ->
  (2 * (2 * t / 3 + t ^ 2) = 1 <-> t = encoder_root).
Proof.
  intros t Ht. destruct sqrt22 as [Hp Hs]. unfold encoder_root.
  set (r := sqrt 22) in *. clearbody r. split; intros H; [|subst t; nra].
  assert (F : (6 * t + 2 - r) * (6 * t + 2 + r) = 0) by nra.
  apply Rmult_integral in F. destruct F; [lra|nra].
Qed.

(** Twelve digits, by squaring twice. *)
Theorem encoder_digits : 0.669628722978 < encoder_constant < 0.669628722979.
Proof.
  destruct sqrt22 as [Hp Hs]. unfold encoder_constant, encoder_root.
  assert (H : 4.69041575981 < sqrt 22 < 4.69041575985) by (split; nra).
  set (r := sqrt 22) in *. clearbody r. clear Hp.
  assert (L : 4.6904157598234 < r < 4.6904157598236) by (split; nra).
  assert (0 <= (r - 2) / 6) by lra.
  assert (E : sqrt ((r - 2) / 6) * sqrt ((r - 2) / 6) = (r - 2) / 6) by now apply sqrt_sqrt.
  assert (P : 0 <= sqrt ((r - 2) / 6)) by apply sqrt_pos.
  set (c := sqrt ((r - 2) / 6)) in *. clearbody c.
  split; apply Rnot_le_lt; intros C.
  - assert (c * c <= 0.669628722978 * 0.669628722978) by (apply Rmult_le_compat; lra). lra.
  - assert (0.669628722979 * 0.669628722979 <= c * c) by (apply Rmult_le_compat; lra). lra.
Qed.

(** Eq. 6 is exactly 1 at the encoder's scale and x = (9N)^(−1/4), for every N > 0. *)
Theorem encoder_solves_eq6 : forall N, 0 < N ->
  eq6 (2 * N) (encoder_scale N) (encoder_scale N) (decoder_scale N) = 1.
Proof.
  intros N HN. destruct sqrt22 as [Hp Hs].
  assert (H1 : 4 < sqrt 22) by nra.
  assert (Hc : encoder_constant * encoder_constant = encoder_root).
  { apply sqrt_sqrt. unfold encoder_root. lra. }
  unfold eq6, encoder_scale, decoder_scale.
  assert (HNi : 0 < / N) by now apply Rinv_0_lt_compat.
  replace (/ (9 * N)) with (/ 9 * / N) by (field; lra).
  rewrite (sqrt_mult (/ 9) (/ N)) by lra.
  replace (sqrt (/ 9)) with (/ 3) by (symmetry; replace (/ 9) with (Rsqr (/ 3))
    by (unfold Rsqr; field); apply sqrt_Rsqr; lra).
  set (r := sqrt (/ N)). assert (Hr : 0 < r) by now apply sqrt_lt_R0.
  assert (HrN : r * r * N = 1) by (unfold r; rewrite sqrt_sqrt by lra; field; lra).
  assert (H3 : sqrt (/ 3 * r) ^ 2 = / 3 * r) by (simpl; rewrite Rmult_1_r; apply sqrt_sqrt; lra).
  assert (H4 : (encoder_constant * sqrt r) ^ 2 = encoder_root * r).
  { replace ((encoder_constant * sqrt r) ^ 2)
      with ((encoder_constant * encoder_constant) * (sqrt r * sqrt r)) by ring.
    rewrite Hc, sqrt_sqrt by lra. reflexivity. }
  rewrite H3, H4. unfold encoder_root. clear H3 H4 Hc.
  set (c := sqrt 22) in *. clearbody c r.
  replace (2 * N * ((c - 2) / 6 * r * (/ 3 * r) + (c - 2) / 6 * r * (/ 3 * r)
     + (c - 2) / 6 * r * ((c - 2) / 6 * r)))
    with ((r * r * N) * (2 * (2 * ((c - 2) / 6) / 3 + ((c - 2) / 6) * ((c - 2) / 6)))) by field.
  rewrite HrN. lra.
Qed.

(** The printed 0.67 makes the left side of Eq. 6 exceed 1, by less than 0.16 %. *)
Theorem printed_constant : 1 < 2 * (2 * 0.67 ^ 2 / 3 + 0.67 ^ 4) < 1.0016.
Proof. split; lra. Qed.

(** *** Steps by the sign of the gradient (Adam's first step): norms instead of squared norms *)

Definition sign_condition (blocks v w x : R) : R := blocks * (v * x + w * x + v * w).

Lemma root_of_9N : forall N, 0 < N -> sqrt (/ (9 * N)) = / 3 * / sqrt N.
Proof.
  intros N HN. assert (0 < sqrt N) by now apply sqrt_lt_R0.
  apply Rsqr_inj; [apply sqrt_pos| |].
  - apply Rmult_le_pos; [lra|]. apply Rlt_le. now apply Rinv_0_lt_compat.
  - rewrite Rsqr_sqrt by (apply Rlt_le, Rinv_0_lt_compat; lra). unfold Rsqr.
    rewrite <- (sqrt_sqrt N) at 1 by lra. field. lra.
Qed.

(** The squared decoder scale makes the sum 1 at every N; the paper's own scale, 3√N. *)
Theorem sign_scales : forall N, 0 < N ->
  let u := sqrt (/ (9 * N)) in
  sign_condition (3 * N) u u u = 1
  /\ sign_condition (3 * N) (decoder_scale N) (decoder_scale N) (decoder_scale N) = 3 * sqrt N.
Proof.
  intros N HN u. assert (Hs : 0 < sqrt N) by now apply sqrt_lt_R0.
  assert (HNs : sqrt N * sqrt N = N) by (apply sqrt_sqrt; lra).
  assert (Hu : u = / 3 * / sqrt N) by now apply root_of_9N.
  assert (Hd : decoder_scale N * decoder_scale N = u).
  { unfold decoder_scale, u. apply sqrt_sqrt, sqrt_pos. }
  unfold sign_condition. split.
  - rewrite Hu. set (r := sqrt N) in *. rewrite <- HNs. field. lra.
  - rewrite Hd, Hu. set (r := sqrt N) in *. rewrite <- HNs. field. lra.
Qed.

(** So does the encoder's squared scale in its condition. *)
Theorem sign_encoder_scale : forall N, 0 < N ->
  let t := encoder_root / sqrt N in
  sign_condition (2 * N) t t (sqrt (/ (9 * N))) = 1.
Proof.
  intros N HN t. assert (Hs : 0 < sqrt N) by now apply sqrt_lt_R0.
  assert (HNs : sqrt N * sqrt N = N) by (apply sqrt_sqrt; lra).
  destruct sqrt22 as [Hp H22]. unfold sign_condition, t, encoder_root.
  rewrite root_of_9N by assumption. set (r := sqrt N) in *. set (c := sqrt 22) in *.
  rewrite <- HNs. clearbody c r.
  replace (2 * (r * r) * ((c - 2) / 6 / r * (/ 3 * / r) + (c - 2) / 6 / r * (/ 3 * / r)
    + (c - 2) / 6 / r * ((c - 2) / 6 / r)))
    with (2 * (2 * ((c - 2) / 6) / 3 + ((c - 2) / 6) * ((c - 2) / 6))) by (field; lra). lra.
Qed.
