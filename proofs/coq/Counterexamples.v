(** Theorem 3.1 as printed is false in both halves, with n = 2.

    Lower half: m = (1, −2), q = k = 1, y = (ln 2)/3, v = w = L^(−1/2); the attended mean is 0.
    Upper half: m = (1, 2), y = 1, k = 0, q = L, v = w = L^(−1/2); V = 1/4 and K ≥ 1/16. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention Bounds Repaired.
Open Scope R_scope.

Definition scale (L : nat) : R := / sqrt (INR L).

Definition pair (a b : R) (j : nat) : R := match j with O => a | _ => b end.

Definition lower_point : family := Family scale scale
  (fun _ => 1) (fun _ => 1) (fun _ => ln 2 / 3) (fun _ => pair 1 (-2)).
Definition upper_point : family := Family scale scale
  INR (fun _ => 0) (fun _ => 1) (fun _ => pair 1 2).

Lemma scale_square : forall L, (1 <= L)%nat -> scale L ^ 2 = / INR L.
Proof.
  intros L HL. pose proof (depth_pos L HL). unfold scale.
  rewrite <- (sqrt_sqrt (INR L)) at 2 by lra.
  assert (0 < sqrt (INR L)) by now apply sqrt_lt_R0. field. lra.
Qed.

Lemma scale_pos : forall L, (1 <= L)%nat -> 0 < scale L.
Proof.
  intros L HL. apply Rinv_0_lt_compat, sqrt_lt_R0. now apply depth_pos.
Qed.

Lemma ln2_bounds : 0 < ln 2 < 2.
Proof.
  split; [rewrite <- ln_1; apply ln_increasing; lra|].
  assert (H : 1 + 2 < exp 2) by (apply exp_ineq1; lra).
  apply Rlt_le_trans with (ln (exp 2)); [apply ln_increasing; lra|]. rewrite ln_exp. lra.
Qed.

(** At the lower point the weights are 2/3 and 1/3. *)
Lemma lower_point_weights : forall L,
  let l := logit 1 1 (ln 2 / 3) (memory lower_point L) in
  softmax 2 l 0 = 2 / 3 /\ softmax 2 l 1 = 1 / 3.
Proof.
  intros L l. unfold softmax. simpl total. unfold l, logit. simpl.
  set (a := exp (1 * 1 * (ln 2 / 3) * 1)).
  replace (1 * 1 * (ln 2 / 3) * -2) with (1 * 1 * (ln 2 / 3) * 1 + - ln 2) by field.
  rewrite exp_plus, exp_Ropp. rewrite (exp_ln 2) by lra. fold a.
  assert (0 < a) by apply exp_pos. split; field; lra.
Qed.

Lemma lower_point_gain : forall L, (1 <= L)%nat ->
  family_q_bar 2 lower_point L = / INR L ^ 2
  /\ exists c, 0 < c /\ forall M, (1 <= M)%nat -> family_gain 2 lower_point M = c / INR M ^ 2.
Proof.
  assert (Hmean : forall L, attended 2 1 1 (ln 2 / 3) (memory lower_point L) = 0).
  { intros L. destruct (lower_point_weights L) as [H0 H1].
    unfold attended, mean. cbn [total]. rewrite H0, H1. simpl. lra. }
  intros L HL. split.
  - unfold family_q_bar, q_bar, q_bar_formula. cbn [value out query key token lower_point].
    rewrite Hmean, scale_square by assumption. pose proof (depth_pos L HL). field. lra.
  - set (m := pair 1 (-2)).
    exists (spread 2 1 1 (ln 2 / 3) m + 2 * (ln 2 / 3) ^ 2 * variance 2 1 1 (ln 2 / 3) m ^ 2).
    split.
    + pose proof (spread_at_least 2 1 1 (ln 2 / 3) m (le_S _ _ (le_n 1))) as H.
      simpl INR in H.
      assert (0 <= 2 * (ln 2 / 3) ^ 2 * variance 2 1 1 (ln 2 / 3) m ^ 2)
        by (apply Rmult_le_pos; [pose proof (pow2_ge_0 (ln 2 / 3)); lra | apply pow2_ge_0]).
      assert (0 < / (1 + 1)) by lra. lra.
    + intros M HM. pose proof (Hmean M) as E. pose proof (depth_pos M HM).
      unfold family_gain, gain, gain_formula. cbn [value out query key token memory lower_point].
      change (memory lower_point M) with m in E. fold m.
      rewrite E, scale_square by assumption. field. lra.
Qed.

Lemma lower_point_printed : printed 2 lower_point.
Proof.
  exists 1, 9. split; [lra|split; [lra|]]. intros L i HL Hi.
  unfold printed_condition. cbn [value out memory lower_point].
  rewrite scale_square by assumption. pose proof (depth_pos L HL) as H0.
  assert (H1 : 1 <= INR L) by (change 1 with (INR 1); now apply le_INR).
  set (t := / INR L). assert (Ht : 0 < t) by now apply Rinv_0_lt_compat.
  assert (t <= 1) by (unfold t; rewrite <- Rinv_1; apply Rinv_le_contravar; lra).
  unfold Rdiv. fold t.
  destruct i as [|[|]]; [| |lia]; simpl; split; nra.
Qed.

Lemma lower_point_bounded : bounded 2 2 lower_point.
Proof.
  intros L HL. cbn [query key token memory lower_point]. pose proof ln2_bounds.
  repeat split; try (rewrite Rabs_right; lra).
  intros j Hj. unfold pair. destruct j; [rewrite Rabs_right | rewrite Rabs_left]; lra.
Qed.

Lemma lower_point_nowhere_zero : nowhere_zero 2 lower_point.
Proof.
  intros L HL. cbn [value out query key token memory lower_point].
  pose proof (scale_pos L HL). pose proof ln2_bounds.
  repeat split; try lra. intros j Hj. unfold pair. destruct j; lra.
Qed.

(** The printed lower half fails even if everything is bounded and nothing is zero. *)
Theorem printed_lower_half_is_false :
  ~ (forall n B f, (1 <= n)%nat -> bounded n B f -> nowhere_zero n f ->
       printed n f -> omega (family_gain n f)).
Proof.
  intros H. specialize (H 2%nat 2 lower_point (le_S _ _ (le_n 1)) lower_point_bounded
    lower_point_nowhere_zero lower_point_printed).
  destruct H as (c & Hc & H). destruct (lower_point_gain 1 (le_n 1)) as [_ (a & Ha & E)].
  destruct (nfloor_ex (a / c)) as [p Hp]; [apply Rlt_le, Rdiv_lt_0_compat; lra|].
  assert (HL : (1 <= S p)%nat) by lia. specialize (H (S p) HL). rewrite (E _ HL) in H.
  rewrite S_INR in H. pose proof (pos_INR p) as H0. destruct Hp as [_ Hp].
  assert (Hx : 0 < INR p + 1) by lra. set (x := INR p + 1) in *. clearbody x.
  assert (Hm : a < c * x).
  { replace a with (a / c * c) by (field; lra). rewrite (Rmult_comm c x).
    apply Rmult_lt_compat_r; assumption. }
  assert (H3 : c / x * x ^ 2 <= a / x ^ 2 * x ^ 2)
    by (apply Rmult_le_compat_r; [apply pow2_ge_0|assumption]).
  replace (c / x * x ^ 2) with (c * x) in H3 by (field; lra).
  replace (a / x ^ 2 * x ^ 2) with a in H3 by (field; lra). lra.
Qed.

Lemma upper_point_weights : forall L,
  let l := logit (INR L) 0 1 (memory upper_point L) in
  softmax 2 l 0 = 1 / 2 /\ softmax 2 l 1 = 1 / 2.
Proof.
  intros L l. unfold softmax. simpl total. unfold l, logit.
  replace (INR L * 0 * 1 * memory upper_point L 0) with 0 by ring.
  replace (INR L * 0 * 1 * memory upper_point L 1) with 0 by ring.
  rewrite exp_0. split; field.
Qed.

Lemma upper_point_gain : forall L, (1 <= L)%nat -> 1 / 16 <= family_gain 2 upper_point L.
Proof.
  intros L HL. destruct (upper_point_weights L) as [H0 H1]. pose proof (depth_pos L HL).
  assert (Hmean : attended 2 (INR L) 0 1 (memory upper_point L) = 3 / 2).
  { unfold attended, mean. cbn [total]. rewrite H0, H1. simpl. lra. }
  assert (Hvar : variance 2 (INR L) 0 1 (memory upper_point L) = 1 / 4).
  { unfold variance, mean. cbn [total]. rewrite H0, H1, Hmean. simpl. lra. }
  unfold family_gain, gain, gain_formula. cbn [value out query key token upper_point].
  rewrite Hmean, Hvar, scale_square by assumption.
  set (S := spread _ _ _ _ _).
  assert (HS : 0 <= S) by (apply total_nonneg; intros; apply Rmult_le_pos; apply pow2_ge_0).
  clearbody S. set (x := INR L) in *.
  assert (E : / x * / x * ((x ^ 2 + 0 ^ 2) * 1 ^ 2 * (1 / 4) ^ 2) = 1 / 16) by (field; lra).
  assert (0 < / x) by now apply Rinv_0_lt_compat.
  assert (0 <= / x * / x * S) by (apply Rmult_le_pos; [apply Rmult_le_pos|]; lra). lra.
Qed.

Lemma upper_point_printed : printed 2 upper_point.
Proof.
  exists 2, 9. split; [lra|split; [lra|]]. intros L i HL Hi.
  unfold printed_condition. cbn [value out memory upper_point].
  rewrite scale_square by assumption. pose proof (depth_pos L HL) as H0.
  assert (H1 : 1 <= INR L) by (change 1 with (INR 1); now apply le_INR).
  set (t := / INR L). assert (Ht : 0 < t) by now apply Rinv_0_lt_compat.
  assert (t <= 1) by (unfold t; rewrite <- Rinv_1; apply Rinv_le_contravar; lra).
  unfold Rdiv. fold t.
  destruct i as [|[|]]; [| |lia]; simpl; split; nra.
Qed.

(** The printed upper half fails where q is unbounded, everything else at most 2. *)
Theorem printed_upper_half_is_false :
  ~ (forall n f, (1 <= n)%nat -> printed n f ->
       (forall L, (1 <= L)%nat -> Rabs (key f L) <= 2 /\ Rabs (token f L) <= 2
          /\ forall j, (j < n)%nat -> Rabs (memory f L j) <= 2) ->
       big_o (family_gain n f)).
Proof.
  intros H. specialize (H 2%nat upper_point (le_S _ _ (le_n 1)) upper_point_printed).
  destruct H as (C & HC & H).
  { intros L HL. cbn [key token memory upper_point]. repeat split;
      try (rewrite Rabs_right; lra).
    intros j Hj. unfold pair. destruct j; rewrite Rabs_right; lra. }
  destruct (nfloor_ex (16 * C)) as [p Hp]; [lra|].
  assert (HL : (1 <= S p)%nat) by lia. specialize (H (S p) HL).
  pose proof (upper_point_gain (S p) HL) as G. rewrite S_INR in H.
  pose proof (pos_INR p) as H0. destruct Hp as [_ Hp].
  assert (Hx : 0 < INR p + 1) by lra. set (x := INR p + 1) in *. clearbody x.
  assert (H3 : 1 / 16 * x <= C / x * x) by (apply Rmult_le_compat_r; lra).
  replace (C / x * x) with C in H3 by (field; lra). lra.
Qed.
