(** Theorem 3.1 in families indexed by L: the repaired theorem as one "if and only if", and the
    parts of the printed theorem that are true. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention Bounds.
Open Scope R_scope.

(** f = O(1/L), Ω(1/L), Θ(1/L): for all L ≥ 1, with constants that do not depend on L. *)
Definition big_o (f : nat -> R) := exists C, 0 < C /\ forall L, (1 <= L)%nat -> f L <= C / INR L.
Definition omega (f : nat -> R) := exists c, 0 < c /\ forall L, (1 <= L)%nat -> c / INR L <= f L.
Definition theta (f : nat -> R) := omega f /\ big_o f.

(** For each L: parameters, a query and a memory of n tokens. *)
Record family := Family {
  value : nat -> R; out : nat -> R; query : nat -> R; key : nat -> R;
  token : nat -> R; memory : nat -> nat -> R }.

Definition family_gain (n : nat) (f : family) (L : nat) : R :=
  gain n (value f L) (out f L) (query f L) (key f L) (token f L) (memory f L).
Definition family_q_bar (n : nat) (f : family) (L : nat) : R :=
  q_bar n (value f L) (out f L) (query f L) (key f L) (token f L) (memory f L).

(** The printed hypothesis: the condition is Θ(1/L) for every i, with common constants. *)
Definition printed (n : nat) (f : family) : Prop :=
  exists c C, 0 < c /\ 0 < C /\ forall L i, (1 <= L)%nat -> (i < n)%nat ->
    c / INR L <= printed_condition (value f L) (out f L) (memory f L i) <= C / INR L.

(** |q|, |k|, |y|, |m_j| ≤ B for every L. *)
Definition bounded (n : nat) (B : R) (f : family) : Prop :=
  forall L, (1 <= L)%nat ->
    Rabs (query f L) <= B /\ Rabs (key f L) <= B /\ Rabs (token f L) <= B
    /\ forall j, (j < n)%nat -> Rabs (memory f L j) <= B.

Definition nowhere_zero (n : nat) (f : family) : Prop :=
  forall L, (1 <= L)%nat ->
    value f L <> 0 /\ out f L <> 0 /\ query f L <> 0 /\ key f L <> 0 /\ token f L <> 0
    /\ forall j, (j < n)%nat -> memory f L j <> 0.

Lemma depth_pos : forall L, (1 <= L)%nat -> 0 < INR L.
Proof. intros. apply lt_0_INR; lia. Qed.

Lemma omega_scaled : forall f g c, 0 < c -> omega f ->
  (forall L, (1 <= L)%nat -> c * f L <= g L) -> omega g.
Proof.
  intros f g c Hc [a [Ha Hf]] H. exists (c * a). split; [now apply Rmult_lt_0_compat|].
  intros L HL. eapply Rle_trans; [|now apply H].
  unfold Rdiv. rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|]. now apply Hf.
Qed.

Lemma big_o_scaled : forall f g c, 0 < c -> big_o f ->
  (forall L, (1 <= L)%nat -> g L <= c * f L) -> big_o g.
Proof.
  intros f g c Hc [a [Ha Hf]] H. exists (c * a). split; [now apply Rmult_lt_0_compat|].
  intros L HL. eapply Rle_trans; [now apply H|].
  unfold Rdiv. rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|]. now apply Hf.
Qed.

Lemma lower_in_family : forall n f L, (1 <= n)%nat ->
  / INR n * family_q_bar n f L <= family_gain n f L.
Proof.
  intros. rewrite Rmult_comm. now apply lower_bound.
Qed.

Lemma upper_constant_pos : forall B, 0 < upper_constant B.
Proof.
  intros. unfold upper_constant. replace (B ^ 8) with ((B ^ 4) ^ 2) by ring.
  pose proof (pow2_ge_0 (B ^ 4)). lra.
Qed.

Lemma upper_in_family : forall n B f L, (1 <= n)%nat -> bounded n B f -> (1 <= L)%nat ->
  family_gain n f L <= upper_constant B * family_q_bar n f L.
Proof.
  intros n B f L Hn Hb HL. destruct (Hb L HL) as (Hq & Hk & Hy & Hm). now apply upper_bound.
Qed.

(** The repaired theorem. *)
Theorem repaired_theorem : forall n B f, (1 <= n)%nat -> bounded n B f ->
  (theta (family_gain n f) <-> theta (family_q_bar n f)).
Proof.
  intros n B f Hn Hb. pose proof (inverse_count n Hn) as [Hi _].
  pose proof (upper_constant_pos B) as HU. pose proof (depth_pos n Hn) as HN.
  split; intros [Hlow Hup]; split.
  - apply (omega_scaled (family_gain n f) _ (/ upper_constant B));
      [now apply Rinv_0_lt_compat | assumption |].
    intros L HL. apply Rmult_le_reg_l with (upper_constant B); [assumption|].
    rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra. now apply upper_in_family.
  - apply (big_o_scaled (family_gain n f) _ (INR n)); [assumption | assumption |].
    intros L HL. apply Rmult_le_reg_l with (/ INR n); [assumption|].
    rewrite <- Rmult_assoc, Rinv_l, Rmult_1_l by lra. now apply lower_in_family.
  - apply (omega_scaled (family_q_bar n f) _ (/ INR n)); [assumption | assumption |].
    intros; now apply lower_in_family.
  - apply (big_o_scaled (family_q_bar n f) _ (upper_constant B)); [assumption | assumption |].
    intros; now apply upper_in_family.
Qed.

(** |m̄| ≤ |m_i| for the largest |m_i|: Q̄ is at most the printed condition there. *)
Lemma largest_entry : forall n (m : nat -> R), (1 <= n)%nat ->
  exists i, (i < n)%nat /\ forall j, (j < n)%nat -> Rabs (m j) <= Rabs (m i).
Proof.
  induction n; intros m Hn; [lia|]. destruct n.
  - exists 0%nat. split; [lia|]. intros j Hj. replace j with 0%nat by lia. lra.
  - destruct (IHn m) as [i [Hi H]]; [lia|].
    destruct (Rle_dec (Rabs (m i)) (Rabs (m (S n)))).
    + exists (S n). split; [lia|]. intros j Hj.
      destruct (Nat.eq_dec j (S n)) as [->|]; [lra|].
      eapply Rle_trans; [apply H; lia|assumption].
    + exists i. split; [lia|]. intros j Hj.
      destruct (Nat.eq_dec j (S n)) as [->|]; [lra|]. apply H; lia.
Qed.

Lemma condition_monotone : forall v w a b, Rabs a <= Rabs b ->
  q_bar_formula v w a <= printed_condition v w b.
Proof.
  intros v w a b H. unfold q_bar_formula, printed_condition.
  apply square_le in H. rewrite pow2_abs in H.
  pose proof (pow2_ge_0 v); pose proof (pow2_ge_0 w).
  assert (v ^ 2 * a ^ 2 <= v ^ 2 * b ^ 2) by now apply Rmult_le_compat_l.
  assert (w ^ 2 * a ^ 2 <= w ^ 2 * b ^ 2) by now apply Rmult_le_compat_l. lra.
Qed.

(** The printed upper half, with the hypothesis that it lacks. *)
Theorem upper_half_bounded : forall n B f, (1 <= n)%nat -> bounded n B f ->
  printed n f -> big_o (family_gain n f).
Proof.
  intros n B f Hn Hb (c & C & Hc & HC & H).
  exists (upper_constant B * C). pose proof (upper_constant_pos B).
  split; [now apply Rmult_lt_0_compat|]. intros L HL.
  eapply Rle_trans; [now apply (upper_in_family n B)|].
  unfold Rdiv. rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|].
  destruct (largest_entry n (memory f L) Hn) as (i & Hi & Hmax).
  eapply Rle_trans; [|apply (H L i HL Hi)]. apply condition_monotone.
  now apply mean_abs_le.
Qed.

(** m̄ ≥ min m_i where no m_i is negative. *)
Lemma smallest_entry : forall n (m : nat -> R), (1 <= n)%nat ->
  exists i, (i < n)%nat /\ forall j, (j < n)%nat -> m i <= m j.
Proof.
  induction n; intros m Hn; [lia|]. destruct n.
  - exists 0%nat. split; [lia|]. intros j Hj. replace j with 0%nat by lia. lra.
  - destruct (IHn m) as [i [Hi H]]; [lia|].
    destruct (Rle_dec (m (S n)) (m i)).
    + exists (S n). split; [lia|]. intros j Hj.
      destruct (Nat.eq_dec j (S n)) as [->|]; [lra|].
      eapply Rle_trans; [eassumption|apply H; lia].
    + exists i. split; [lia|]. intros j Hj.
      destruct (Nat.eq_dec j (S n)) as [->|]; [lra|]. apply H; lia.
Qed.

Lemma one_sign_condition : forall n v w q k y m, (1 <= n)%nat ->
  ((forall j, (j < n)%nat -> 0 <= m j) \/ (forall j, (j < n)%nat -> m j <= 0)) ->
  exists i, (i < n)%nat /\ printed_condition v w (m i) <= q_bar n v w q k y m.
Proof.
  intros n v w q k y m Hn Hs.
  assert (Hsq : exists i, (i < n)%nat /\ m i ^ 2 <= attended n q k y m ^ 2).
  { destruct Hs as [Hs|Hs].
    - destruct (smallest_entry n m Hn) as (i & Hi & H). exists i. split; [assumption|].
      apply pow_incr. split; [now apply Hs|].
      rewrite <- (mean_const n (logit q k y m) (m i) Hn). now apply mean_le.
    - destruct (smallest_entry n (fun j => - m j) Hn) as (i & Hi & H). exists i.
      split; [assumption|].
      assert (attended n q k y m <= m i).
      { rewrite <- (mean_const n (logit q k y m) (m i) Hn). apply mean_le; [assumption|].
        intros j Hj. specialize (H j Hj). cbv beta in H. lra. }
      specialize (Hs i Hi). nra. }
  destruct Hsq as (i & Hi & H). exists i. split; [assumption|].
  unfold q_bar, q_bar_formula, printed_condition.
  pose proof (pow2_ge_0 v); pose proof (pow2_ge_0 w).
  assert (v ^ 2 * m i ^ 2 <= v ^ 2 * attended n q k y m ^ 2) by now apply Rmult_le_compat_l.
  assert (w ^ 2 * m i ^ 2 <= w ^ 2 * attended n q k y m ^ 2) by now apply Rmult_le_compat_l. lra.
Qed.

(** The printed lower half where all m_i have one sign; q, k, y and m need not be bounded. *)
Theorem lower_half_one_sign : forall n f, (1 <= n)%nat ->
  (forall L, (1 <= L)%nat -> (forall j, (j < n)%nat -> 0 <= memory f L j)
                             \/ (forall j, (j < n)%nat -> memory f L j <= 0)) ->
  printed n f -> omega (family_gain n f).
Proof.
  intros n f Hn Hs (c & C & Hc & HC & H). pose proof (inverse_count n Hn) as [Hi _].
  apply (omega_scaled (family_q_bar n f) _ (/ INR n)); [assumption| |intros; now apply lower_in_family].
  exists c. split; [assumption|]. intros L HL.
  destruct (one_sign_condition n (value f L) (out f L) (query f L) (key f L) (token f L)
              (memory f L) Hn (Hs L HL)) as (i & Hi' & Hle).
  eapply Rle_trans; [apply (H L i HL Hi')|exact Hle].
Qed.

(** The lower half where v²w² ≥ c/L, whatever the signs. *)
Theorem lower_half_products : forall n f, (1 <= n)%nat ->
  omega (fun L => value f L ^ 2 * out f L ^ 2) -> omega (family_gain n f).
Proof.
  intros n f Hn H. pose proof (inverse_count n Hn) as [Hi _].
  apply (omega_scaled (fun L => value f L ^ 2 * out f L ^ 2) _ (/ INR n)); [assumption|assumption|].
  intros L HL. eapply Rle_trans; [|apply lower_in_family; assumption].
  apply Rmult_le_compat_l; [lra|]. unfold family_q_bar, q_bar, q_bar_formula.
  set (a := attended _ _ _ _ _).
  assert (0 <= (value f L ^ 2 + out f L ^ 2) * a ^ 2).
  { apply Rmult_le_pos; [|apply pow2_ge_0].
    pose proof (pow2_ge_0 (value f L)); pose proof (pow2_ge_0 (out f L)); lra. }
  lra.
Qed.
