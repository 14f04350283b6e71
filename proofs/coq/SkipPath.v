(** Growth along the skip path: y ← (1 + ε a) y over L blocks, a = (3L)^(−1/2).

    All signs alike: unbounded. In mean square over all 2^L choices of signs: → e^(1/3). *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Definition strength (L : nat) : R := / sqrt (3 * INR L).

Definition coherent (L : nat) : R := (1 + strength L) ^ L.

(** Mean over the 2^p choices of p signs of x · Π (1 + ε a)². *)
Fixpoint mean_square (p : nat) (a x : R) : R :=
  match p with
  | O => x
  | S p' => (mean_square p' a (x * (1 + a) ^ 2) + mean_square p' a (x * (1 - a) ^ 2)) / 2
  end.

Definition incoherent (L : nat) : R := mean_square L (strength L) 1.

Lemma strength_square : forall L, (1 <= L)%nat ->
  0 < strength L /\ strength L ^ 2 = / (3 * INR L).
Proof.
  intros L HL. assert (0 < INR L) by (apply lt_0_INR; lia).
  assert (H0 : 0 < sqrt (3 * INR L)) by (apply sqrt_lt_R0; lra). unfold strength.
  split; [now apply Rinv_0_lt_compat|].
  rewrite <- (sqrt_sqrt (3 * INR L)) at 2 by lra. field. lra.
Qed.

(** Bernoulli: 1 + p a ≤ (1 + a)^p. *)
Lemma bernoulli : forall p a, 0 <= a -> 1 + INR p * a <= (1 + a) ^ p.
Proof.
  induction p; intros a Ha; [simpl; lra|]. rewrite S_INR. change ((1 + a) ^ S p)
    with ((1 + a) * (1 + a) ^ p). specialize (IHp a Ha). pose proof (pos_INR p).
  assert (0 <= INR p * a) by now apply Rmult_le_pos.
  assert ((1 + a) * (1 + INR p * a) <= (1 + a) * (1 + a) ^ p) by (apply Rmult_le_compat_l; lra).
  assert (0 <= a * (INR p * a)) by now apply Rmult_le_pos. lra.
Qed.

(** (1 + (3L)^(−1/2))^L ≥ √(L/3), so no constant bounds it. *)
Theorem coherent_at_least : forall L, (1 <= L)%nat -> sqrt (INR L / 3) <= coherent L.
Proof.
  intros L HL. assert (H : 0 < INR L) by (apply lt_0_INR; lia).
  destruct (strength_square L HL) as [Hp Hs].
  assert (E : sqrt (INR L / 3) = INR L * strength L).
  { apply Rsqr_inj; [apply sqrt_pos | apply Rmult_le_pos; lra |].
    rewrite Rsqr_sqrt by lra. unfold Rsqr.
    replace (INR L * strength L * (INR L * strength L)) with (INR L ^ 2 * strength L ^ 2) by ring.
    rewrite Hs. field. lra. }
  rewrite E. unfold coherent. pose proof (bernoulli L (strength L)). lra.
Qed.

Theorem coherent_unbounded : forall C, exists L, (1 <= L)%nat /\ C < coherent L.
Proof.
  intros C. destruct (nfloor_ex (3 * C ^ 2)) as [p Hp]; [pose proof (pow2_ge_0 C); lra|].
  exists (S p). split; [lia|]. eapply Rlt_le_trans; [|apply coherent_at_least; lia].
  rewrite S_INR. destruct (Rlt_dec C 0) as [Hc|Hc].
  - eapply Rlt_le_trans; [exact Hc|apply sqrt_pos].
  - rewrite <- (sqrt_pow2 C) by lra. apply sqrt_lt_1; [apply pow2_ge_0| |lra].
    pose proof (pow2_ge_0 C). lra.
Qed.

(** Independent signs: the mean square of the product is the product of the mean squares. *)
Theorem mean_square_product : forall p a x, mean_square p a x = x * (1 + a ^ 2) ^ p.
Proof.
  induction p; intros a x; [simpl; ring|]. cbn [mean_square]. rewrite !IHp.
  change ((1 + a ^ 2) ^ S p) with ((1 + a ^ 2) * (1 + a ^ 2) ^ p). field.
Qed.

Lemma log_bounds : forall u, -1 < u -> u / (1 + u) <= ln (1 + u) <= u.
Proof.
  assert (upper : forall x, 0 < x -> ln x <= x - 1).
  { intros x Hx. destruct (Req_dec (ln x) 0) as [E|E].
    - rewrite E. rewrite <- (exp_ln x Hx), E, exp_0. lra.
    - pose proof (exp_ineq1 _ E). rewrite exp_ln in H by assumption. lra. }
  intros u Hu. split; [|pose proof (upper (1 + u)); lra].
  assert (0 < / (1 + u)) by (apply Rinv_0_lt_compat; lra).
  pose proof (upper (/ (1 + u)) H) as H1. rewrite ln_Rinv in H1 by lra.
  replace (u / (1 + u)) with (1 - / (1 + u)) by (field; lra). lra.
Qed.

Lemma power_as_exp : forall b p, 0 < b -> b ^ p = exp (INR p * ln b).
Proof. intros b p Hb. now rewrite <- Rpower_pow. Qed.

Lemma exp_increasing_le : forall a b, a <= b -> exp a <= exp b.
Proof. intros a b [H| ->]; [apply Rlt_le; now apply exp_increasing | lra]. Qed.

Theorem incoherent_between : forall L, (1 <= L)%nat ->
  exp (INR L / (3 * INR L + 1)) <= incoherent L <= exp (1 / 3).
Proof.
  intros L HL. assert (H : 0 < INR L) by (apply lt_0_INR; lia).
  destruct (strength_square L HL) as [_ Hs].
  unfold incoherent. rewrite mean_square_product, Hs, Rmult_1_l.
  assert (Hu : 0 < / (3 * INR L)) by (apply Rinv_0_lt_compat; lra).
  rewrite power_as_exp by lra.
  destruct (log_bounds (/ (3 * INR L))) as [Hl Hh]; [lra|]. split; apply exp_increasing_le.
  - replace (INR L / (3 * INR L + 1)) with (INR L * (/ (3 * INR L) / (1 + / (3 * INR L))))
      by (field; lra).
    apply Rmult_le_compat_l; lra.
  - replace (1 / 3) with (INR L * / (3 * INR L)) by (field; lra).
    apply Rmult_le_compat_l; lra.
Qed.

Theorem incoherent_limit : is_lim_seq incoherent (exp (1 / 3)).
Proof.
  apply (is_lim_seq_le_le_loc (fun L => exp (INR L / (3 * INR L + 1))) _ (fun _ => exp (1 / 3))).
  - exists 1%nat. intros L HL. now apply incoherent_between.
  - apply (is_lim_seq_continuous exp); [apply derivable_continuous_pt, derivable_pt_exp|].
    apply (is_lim_seq_ext_loc (fun L => / (3 + / INR L))).
    + exists 1%nat. intros L HL. assert (0 < INR L) by (apply lt_0_INR; lia). field. lra.
    + replace (Finite (1 / 3)) with (Rbar_inv (Finite (3 + 0))) by (simpl; f_equal; field).
      apply is_lim_seq_inv; [|simpl; intros E; injection E; lra].
      apply is_lim_seq_plus'; [apply is_lim_seq_const|].
      replace (Finite 0) with (Rbar_inv p_infty) by reflexivity.
      apply is_lim_seq_inv; [apply is_lim_seq_INR|discriminate].
  - apply is_lim_seq_const.
Qed.
